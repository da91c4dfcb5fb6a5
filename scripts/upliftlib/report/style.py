# SPDX-License-Identifier: GPL-2.0-only
"""The style sheet of a dossier's page: on a telephone, on a screen, in the dark, and on paper."""

SHEET = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #59626c; --line: #d5dae0; --back: #fff; --block: #f4f6f8;
  --off: #7b8794; --null: #2f6fb5; --new: #1d7f4e; --batch: #9a5b00; --good: #176b41; --bad: #b3261e; --note: #7d5000; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #a3afba; --line: #3a434c; --back: #15191d;
  --block: #1e2429; --off: #94a1ae; --null: #6aa7ea; --new: #57c08a; --batch: #e0a24a; --good: #57c08a; --bad: #ff8a80;
  --note: #e0a24a; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 60rem;
  margin: 1rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .8rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); }
.decisions { list-style: none; margin: 0 0 1.2rem; padding: 0; }
.decisions li { border-left: .3rem solid var(--off); background: var(--block); padding: .4rem .75rem; margin: .45rem 0; font-size: .94rem;
  line-height: 1.38; }
@media (min-width: 46rem) { .decisions { columns: 2; column-gap: .6rem; } .decisions li:first-child { margin-top: 0; }
  .decisions li { break-inside: avoid; font-size: .86rem; line-height: 1.28; padding: .3rem .6rem; margin: .35rem 0; }
  h1 + p { margin: .5rem 0; font-size: .95rem; line-height: 1.4; } }
.decisions b { margin-right: .3rem; } .decisions strong { color: var(--soft); margin-right: .3rem; } .decisions span { color: var(--soft); }
.decisions dl { gap: 0 .6rem; margin: .1rem 0 0; grid-template-columns: 2.8rem 1fr; }
.decisions .worth { border-color: var(--good); } .decisions .worth strong { color: var(--good); }
.decisions .harmful { border-color: var(--bad); } .decisions .harmful strong { color: var(--bad); }
.decisions .cannot { border-color: var(--note); } .decisions .cannot strong { color: var(--note); }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } .n { text-align: right; white-space: nowrap; }
td.of { padding-left: 1.2rem; color: var(--soft); }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
.bars .label { display: flex; justify-content: space-between; gap: 1rem; flex-wrap: wrap; font-size: .92rem;
  margin-top: .45rem; }
.track { position: relative; height: .7rem; background: var(--block); border: 1px solid var(--line); }
.track i, .track s, .track u { position: absolute; top: 0; bottom: 0; }
.track i { background: var(--off); } .track i.new { background: var(--new); } .track i.batch { background: var(--batch); }
.track i.loss { background: var(--bad); } .label .loss { color: var(--bad); } .label .none { color: var(--soft); }
.track s { top: .2rem; bottom: .2rem; border: 1px solid var(--ink); border-width: 0 1px; }
.track s::before { content: ""; position: absolute; left: 0; right: 0; top: 50%; border-top: 1px solid var(--ink); }
.track u { border-left: 1px solid var(--ink); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: var(--soft); }
dd { margin: 0; min-width: 0; } pre { background: var(--block); padding: .8rem; overflow-x: auto; font-size: 13px; }
details { border-top: 1px solid var(--line); padding: .35rem 0; } details[open] { padding-bottom: .8rem; }
summary { cursor: pointer; color: var(--soft); font-weight: 600; }
.applicable, .passed, .less { color: var(--good); } .FAILED, .ERROR, .MORE, .PROBLEM, .HARMFUL { color: var(--bad); font-weight: 600; }
.unsupported, .unknown { color: var(--note); } .none { color: var(--soft); }
svg { min-width: 36rem; max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .axis { stroke: var(--line); }
@media (max-width: 40rem) {
  body { margin: .8rem auto; padding: 0 .6rem; } h1 { font-size: 1.1rem; margin: 0 0 .4rem; } h1 + p { margin: .3rem 0; font-size: .88rem; line-height: 1.32; }
  .decisions li { font-size: .82rem; line-height: 1.28; padding: .25rem .5rem; margin: .3rem 0; } th, td { font-size: .9rem; padding-right: .6rem; }
  dl { grid-template-columns: 1fr; gap: 0; } .decisions dl { grid-template-columns: 2.5rem 1fr; }
  .decisions dl dt { margin: 0; font-size: .82rem; } .decisions dl dt:empty { display: block; } .decisions dl dd { margin: 0; }
  dt { margin-top: .5rem; font-size: .9rem; } dt:empty { display: none; } dt:empty + dd { margin-top: .35rem; } }
@media print {
  :root { --ink: #000; --soft: #444; --line: #999; --back: #fff; --block: #f4f4f4; --off: #7b8794; --new: #1d7f4e;
    --batch: #9a5b00; --good: #176b41; --bad: #b3261e; --note: #7d5000; }
  body { max-width: none; margin: 0; font-size: 10.5pt; } pre { white-space: pre-wrap; font-size: 8.5pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; block-size: auto; } summary { list-style: none; }
  h2, summary, figcaption { break-after: avoid; } .decisions li, tr, figure, .track { break-inside: avoid; }
  .wide { overflow: visible; } svg { min-width: 0; } }
"""

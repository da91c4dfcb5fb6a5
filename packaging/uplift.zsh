#compdef uplift
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion of uplift(8) for zsh, out of the command's own --help, as uplift.bash
# does it.

local -a command found
local word help

command=(${words[1]})
for word in ${words[2,CURRENT-1]}; do
	[[ $word != -- ]] || return 0
	help=$(COLUMNS=300 ${command} --help 2>/dev/null)
	found=(${(f)"$(print -r -- $help | sed -n '/^positional arguments:/,/^$/s/^    \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p')"})
	[[ $word == -* ]] || (( ! ${found[(Ie)$word]} )) || command+=($word)
done
help=$(COLUMNS=300 ${command} --help 2>/dev/null)

if [[ ${words[CURRENT]} == -* ]]; then
	found=(${(f)"$(print -r -- $help | grep -E '^  -' | grep -oE '(^  |, )--?[a-z][a-z-]*' | tr -d ' ,')"})
else
	found=(${(f)"$(print -r -- $help | sed -n '/^positional arguments:/,/^$/s/^    \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p')"})
	(( $#found )) || found=(${(f)"$(print -r -- $help | sed -n '/^positional arguments:/,/^$/s/^  {\([^}]*\)}.*/\1/p' | tr , '\n')"})
	(( $#found )) || found=(${=$(print -r -- $help | sed -n 's/^  \(TARGET\|CHANGE\)  *\(one \)\{0,1\}of: \([^;]*\).*/\3/p')})
	(( $#found )) || { _files; return }
fi
compadd -a found

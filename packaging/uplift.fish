# SPDX-License-Identifier: GPL-2.0-only
#
# Completion of uplift(8) for fish, out of the command's own --help, as
# uplift.bash does it.

function __uplift_commands
	string join \n -- $argv | sed -n '/^positional arguments:/,/^$/s/^    \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p'
end

function __uplift_complete
	set -l typed (commandline -opc)
	set -l command $typed[1]
	set -l help
	for word in $typed[2..-1]
		test "$word" != -- ; or return
		set help (env COLUMNS=300 $command --help 2>/dev/null)
		if not string match -q -- '-*' $word; and contains -- $word (__uplift_commands $help)
			set -a command $word
		end
	end
	set help (env COLUMNS=300 $command --help 2>/dev/null)
	if string match -q -- '-*' (commandline -ct)
		string join \n -- $help | grep -E '^  -' | grep -oE '(^  |, )--?[a-z][a-z-]*' | tr -d ' ,'
		return
	end
	set -l found (__uplift_commands $help)
	test -n "$found"; or set found (string join \n -- $help | sed -n '/^positional arguments:/,/^$/s/^  {\([^}]*\)}.*/\1/p' | tr , '\n')
	test -n "$found"; or set found (string join \n -- $help | sed -n 's/^  \(TARGET\|CHANGE\)  *\(one \)\{0,1\}of: \([^;]*\).*/\3/p' | tr ' ' '\n')
	if test -n "$found"
		string join \n -- $found
	else
		__fish_complete_path (commandline -ct)
	end
end

complete -c uplift -f -a '(__uplift_complete)'

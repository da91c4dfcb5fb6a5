# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion of uplift(8). What there is to complete is read from the command's
# own --help, once per shell, so that it cannot differ from what it takes.

declare -A _uplift_said

# _uplift_help COMMAND...: its help, in REPLY
_uplift_help()
{
	[[ ${_uplift_said[$*]+set} ]] || _uplift_said[$*]=$(COLUMNS=300 "$@" --help 2>/dev/null)
	REPLY=${_uplift_said[$*]}
}

_uplift_commands()
{
	sed -n '/^positional arguments:/,/^$/s/^    \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p'
}

_uplift_options()
{
	grep -E '^  -' | grep -oE '(^  |, )--?[a-z][a-z-]*' | tr -d ' ,'
}

# _uplift_values OPTION: the words that it takes, where the help has a list of them
_uplift_values()
{
	sed -n "s/^  \(.*, \)\{0,1\}$1 {\([^}]*\)}.*/\2/p" | tr , '\n'
}

_uplift()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
	local command=("${COMP_WORDS[0]}") help usage words='' word IFS=$' \t\n'

	COMPREPLY=()
	# Down into commands, as far as they are typed. What follows "--" is a command of the guest.
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ $word != -- ]] || return 0
		_uplift_help "${command[@]}"
		if [[ $word != -* ]] && _uplift_commands <<<"$REPLY" | grep -qxF -e "$word"; then
			command+=("$word")
		fi
	done
	_uplift_help "${command[@]}"
	help=$REPLY
	usage=${help%%$'\n\n'*}

	if [[ $current == -* ]]; then
		words=$(_uplift_options <<<"$help")
	elif [[ $previous == --* ]] && words=$(_uplift_values "$previous" <<<"$help") && [[ $words ]]; then
		:
	elif [[ $previous == --topology ]]; then
		words=$(sed -n '/^  --topology/,/^  --/p' <<<"$help" | grep -oE '[a-z0-9]+: ' | tr -d ': ')
	elif [[ $previous == --* ]] && grep -qE -e "^  (.*, )?$previous [A-Z]" <<<"$help"; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return 0
	else
		words=$(_uplift_commands <<<"$help")
		[[ -n $words ]] || words=$(sed -n '/^positional arguments:/,/^$/s/^  {\([^}]*\)}.*/\1/p' <<<"$help" | tr , '\n')
		if [[ -z $words && $usage == *TARGET* ]]; then
			_uplift_help "${COMP_WORDS[0]}" lab run
			words=$(sed -n 's/^  TARGET  *one of: \([^;]*\).*/\1/p' <<<"$REPLY")
		elif [[ -z $words && $usage == *CHANGE* ]]; then
			words=$(tr -s ' \n' ' ' <<<"$help" | sed -n 's/.* CHANGE of: \([^;]*\);.*/\1/p')
		elif [[ -z $words ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return 0
		fi
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _uplift uplift

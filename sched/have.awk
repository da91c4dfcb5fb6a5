# SPDX-License-Identifier: GPL-2.0-only
#
# `bpftool btf dump format raw` in, #defines of cgroup operations that schedulers
# can have, and of the kfuncs that programs can call, out: those with the tag that says so. What is only listed cannot be
# called: from 7.1 on such a function takes one argument more than programs
# give it.
/^\[[0-9]+\] FUNC '/ {
	split($1, number, /[][]/)
	split($0, name, "'")
	func_of[number[2]] = name[2]
}
/^\[[0-9]+\] DECL_TAG 'bpf_kfunc' / {
	match($0, /type_id=[0-9]+/)
	tagged[substr($0, RSTART + 8, RLENGTH - 8)] = 1
}
# Members of the struct of operations: those that the kernel's configuration has.
/^\[[0-9]+\] / { in_ops = /STRUCT 'sched_ext_ops' / }
in_ops && /^\t'cgroup_/ {
	split($0, name, "'")
	print "#define HAVE_OPS_" name[2] " 1"
}
END {
	for (id in tagged)
		if (func_of[id] ~ /^(scx_|bpf_)/)
			print "#define HAVE_" func_of[id] " 1" | "sort -u"
}

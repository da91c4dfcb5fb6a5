# SPDX-License-Identifier: GPL-2.0-only
"""Servers that users know, out of Debian's packages, as loads of `uplift lab find`: their scripts, and what is made before."""

from __future__ import annotations

import pathlib

from ..base import console, errors, paths
from . import buildroot

WEB = r"""
mkdir -p /srv /var/log/nginx /var/lib/nginx
head -c 4096 /dev/zero >/srv/page
cat >/tmp/nginx.conf <<'END'
worker_processes 1;
user root root;
pid /tmp/nginx.pid;
error_log /dev/null;
events { worker_connections 256; }
http { access_log off; server { listen 127.0.0.1:80; root /srv; } }
END
nginx -c /tmp/nginx.conf || exit 10
/selftests/workload -- wrk -t1 -c16 -d1s http://127.0.0.1:80/page
status=$?
kill $(cat /tmp/nginx.pid)
exit $status
"""

# The server refuses to be root's.
DATABASE = r"""
mkdir -p /dev/shm /mnt/data && cp -a /database/. /mnt/data && chown -R 65534:65534 /mnt/data && chmod 700 /mnt/data || exit 10
su nobody -s /bin/sh -c '@BIN@/postgres -D /mnt/data -k /tmp -h "" >/tmp/database.log 2>&1 & echo $! >/tmp/database.pid'
tries=600
until @BIN@/psql -h /tmp -U postgres -c "select 1" bench >/dev/null 2>&1; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || { cat /tmp/database.log; exit 11; }
	sleep 0.1
done
/selftests/workload -- @BIN@/pgbench -n -c 2 -t 100 -h /tmp -U postgres bench
status=$?
kill -INT $(cat /tmp/database.pid)
wait
while pidof postgres >/dev/null; do sleep 0.1; done
exit $status
"""

# In the build root, where it is quick: a data directory with pgbench's tables.
_MAKE = r"""
set -e
mkdir -p /run/postgresql
rm -rf "$1"
install -d -o postgres -g postgres "$1"
cd /tmp
cat >/tmp/make.sh <<'END'
set -e
@BIN@/initdb -D "$1" -U postgres -A trust --no-locale -E SQL_ASCII --no-sync --wal-segsize=4
cat >>"$1/postgresql.conf" <<'CONF'
timezone = 'GMT'
log_timezone = 'GMT'
dynamic_shared_memory_type = mmap
shared_buffers = 32MB
max_connections = 20
autovacuum = off
jit = off
CONF
@BIN@/pg_ctl -D "$1" -w -o "-k /tmp -h ''" -l /tmp/log start
@BIN@/createdb -h /tmp -U postgres bench
@BIN@/pgbench -q -i -s 1 -h /tmp -U postgres bench
@BIN@/pg_ctl -D "$1" -w stop
END
su postgres -s /bin/sh -c "sh /tmp/make.sh $1"
"""


def postgres() -> str:
    """The directory of PostgreSQL's programs in the build root."""
    found = sorted(paths.ROOT.glob("usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise errors.Problem("no PostgreSQL in the build root: scripts/uplift lab root --set database")
    return "/" + str(found[-1].parent.relative_to(paths.ROOT))


def web() -> tuple[str, list[str], dict[str, paths.Path]]:
    """(script, programs, files) of nginx, asked by wrk."""
    return WEB, ["/usr/sbin/nginx", "/usr/bin/wrk"], {"/etc/nginx/mime.types": paths.ROOT / "etc/nginx/mime.types"}


def database() -> tuple[str, list[str], dict[str, paths.Path]]:
    """The same of PostgreSQL, asked by pgbench."""
    bin_ = postgres()
    version = pathlib.PurePath(bin_).parent.name
    data = paths.BUILD / "find" / f"database-{version}"
    with paths.lock("find-database"):
        if not (data / "PG_VERSION").exists():
            with console.doing("making a database in the build root"):
                paths.ensure(data.parent)
                code, text = buildroot.output(["sh", "-c", _MAKE.replace("@BIN@", bin_), "make", data])
                if code:
                    paths.remove(data)
                    raise errors.Problem(f"the database cannot be made:\n{text.rstrip()[-2000:]}")
    files: dict[str, paths.Path] = {"/database": data, f"/usr/share/postgresql/{version}": paths.ROOT / "usr/share/postgresql" / version}
    programs = [f"{bin_}/{name}" for name in ("postgres", "pgbench", "psql")]
    programs += [f"/usr/lib/postgresql/{version}/lib/{path.name}" for path in sorted((paths.ROOT / f"usr/lib/postgresql/{version}/lib").glob("*.so"))
                 if path.name in ("plpgsql.so", "dict_snowball.so")]
    return DATABASE.replace("@BIN@", bin_), programs, files

# Sourced by the scripts under test/: packages, the build, and a private cluster that goes away again.
#
#   . "$(dirname "$0")/../lib.sh"
#   vm_setup                      # packages, build, install, cluster; PGHOST and its kin are exported
#
# Sets -euo pipefail and the EXIT trap; a script that wants its own folder uses $VM_TMP, which is removed.
# VM_BUILD: where things are built (build/). PG_CONFIG: which server (the newest installed, else Debian's).
# shellcheck shell=bash
set -euo pipefail

VM_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VM_BUILD=${VM_BUILD:-$VM_ROOT/build}
VM_TMP=$(mktemp -d "${TMPDIR:-/tmp}/vm.XXXXXX")
chmod 755 "$VM_TMP"  # the server's user looks in
vm_data=
vm_quiet_log=

# Nothing of the caller's session reaches the private cluster, nor the options of a calling make.
# VM_CLUSTER: a script of ours that has a cluster calls this one, which uses it too.
if [[ -z ${VM_CLUSTER:-} ]]; then
    for name in $(compgen -e PG); do
        [[ $name == PG_CONFIG ]] || unset "$name"
    done
fi
unset name MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
export LC_ALL=C.UTF-8

vm_on_exit() {
    local status=$?
    trap - EXIT
    set +e
    if [[ -n $vm_quiet_log ]]; then
        exec 1>&8 2>&9
        ((status == 0)) || cat "$vm_quiet_log" >&2
    fi
    stop_cluster
    rm -rf "$VM_TMP"
    exit "$status"
}
trap vm_on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

die() {
    echo "$*" >&2
    exit 1
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# The server refuses to run as root.
if ((EUID != 0)); then
    VM_USER=$(id -un)
else
    VM_USER=postgres
fi

# Runs a command as the user that owns the private cluster, from a folder it may read.
run_as_pg() {
    if ((EUID != 0)); then
        (cd "$VM_TMP" && "$@")
    else
        id "$VM_USER" >/dev/null 2>&1 || VM_USER=nobody
        (cd "$VM_TMP" && runuser -u "$VM_USER" -- "$@")
    fi
}

vm_apt() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 "$@"
}

# need_packages <name>...: installs those that are missing.
need_packages() {
    local name missing=()
    for name; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    # The lists may be absent, or too old for the mirror.
    vm_apt install "${missing[@]}" >"$VM_TMP/apt.log" 2>&1 ||
        { vm_apt update && vm_apt install "${missing[@]}"; } >"$VM_TMP/apt.log" 2>&1 ||
        { cat "$VM_TMP/apt.log" >&2; die "cannot install: ${missing[*]}"; }
}

# Debian starts a cluster with each server it installs, unless told not to; what we tell it is taken back.
vm_install_server() {
    local status=0 conf=/etc/postgresql-common/createcluster.d/voucher_migrate.conf
    as_root mkdir -p "${conf%/*}"
    echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
    (need_packages "postgresql-$1" "postgresql-server-dev-$1") || status=1
    as_root rm -f "$conf"
    as_root rmdir --ignore-fail-on-non-empty "${conf%/*}"
    ((status == 0)) || exit 1
}

# Sets PG_CONFIG, and VM_BINDIR and VM_PGXS from it.
find_postgres() {
    local version
    if [[ -z ${PG_CONFIG:-} ]]; then
        version=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | cut -d/ -f5 | sort -n | tail -n 1) ||
            true
        if [[ -z $version ]]; then
            apt-cache show postgresql >/dev/null 2>&1 || vm_apt update >/dev/null
            version=$(apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p')
        fi
        PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config
        # PGXS comes with the client; the headers do not.
        [[ -x $PG_CONFIG && -x ${PG_CONFIG%/*}/postgres && -f $("$PG_CONFIG" --includedir-server)/postgres.h ]] ||
            vm_install_server "$version"
    fi
    export PG_CONFIG
    VM_BINDIR=$("$PG_CONFIG" --bindir)
    VM_PGXS=$("$PG_CONFIG" --pgxs)
    [[ -f $VM_PGXS && -f $("$PG_CONFIG" --includedir-server)/postgres.h ]] ||
        die "$PG_CONFIG: no development files"
    [[ -x $VM_BINDIR/initdb && -x $VM_BINDIR/postgres ]] || die "$PG_CONFIG: no server"
}

# vm_copy <folder>: the sources as they are now, beside what was built from them there before.
vm_copy() {
    mkdir -p "$1"
    find "$1" -type f ! -name '*.[od]' ! -name '*.so' -delete
    (cd "$VM_ROOT" && tar -c --exclude='*.[od]' --exclude='*.so' Makefile voucher_migrate* src sql expected test) |
        tar -x -C "$1"
}

# vm_make <folder> <make arguments>...: PGXS in such a copy.
vm_make() {
    env -u DOCS make -s -C "$1" PG_CONFIG="$PG_CONFIG" "${@:2}"
}

vm_build() {
    need_packages make g++ rapidjson-dev
    find_postgres
    vm_copy "$VM_BUILD/pg"
    vm_make "$VM_BUILD/pg" -j "$(nproc)" all
}

vm_install() {
    if [[ -w $("$PG_CONFIG" --pkglibdir) && -w $("$PG_CONFIG" --sharedir)/extension ]]; then
        vm_make "$VM_BUILD/pg" install
    else
        as_root env -u DOCS make -s -C "$VM_BUILD/pg" PG_CONFIG="$PG_CONFIG" install
    fi
}

# start_cluster [setting=value]...: a new cluster on a socket of its own. Not durable unless fsync=on is given.
start_cluster() {
    local setting
    find_postgres
    run_as_pg true  # settles the user
    vm_data=$VM_TMP/data
    mkdir "$vm_data" "$VM_TMP/socket"
    ((EUID != 0)) || chown "$VM_USER" "$vm_data" "$VM_TMP/socket"
    run_as_pg "$VM_BINDIR/initdb" -D "$vm_data" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$VM_TMP/socket'"
        echo "wal_level = logical"
        echo "fsync = off"
        for setting; do echo "$setting"; done
    } >>"$vm_data/postgresql.conf"
    run_as_pg "$VM_BINDIR/pg_ctl" -D "$vm_data" -l "$vm_data/server.log" -w start >/dev/null 8>&- 9>&- ||
        { cat "$vm_data/server.log" >&2; die "the private cluster does not start"; }
    export VM_CLUSTER=$vm_data PGHOST=$VM_TMP/socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
    export PATH=$VM_BINDIR:$PATH
}

# Stops the private cluster, if any, and forgets its data.
stop_cluster() {
    [[ -n $vm_data ]] || return 0
    [[ ! -f $vm_data/postmaster.pid ]] ||
        run_as_pg "$VM_BINDIR/pg_ctl" -D "$vm_data" -m immediate -w stop >/dev/null
    rm -rf "$vm_data" "$VM_TMP/socket"
    vm_data=
    unset VM_CLUSTER
}

# quietly <command>...: in this shell; what it printed is shown only if the script ends in it.
quietly() {
    vm_quiet_log=$VM_TMP/quiet.log
    exec 8>&1 9>&2 >"$vm_quiet_log" 2>&1
    "$@"
    exec >&8 2>&9 8>&- 9>&-
    vm_quiet_log=
}

# vm_setup [setting=value]...: all a script needs before its first psql.
vm_setup() {
    if [[ -n ${VM_CLUSTER:-} ]]; then
        find_postgres
        return
    fi
    quietly vm_build
    quietly vm_install
    quietly start_cluster "$@"
}

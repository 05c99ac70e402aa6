"""What makes a lab host a host of its own: its directories, libvirt's configuration, and what it does when it boots."""

# Directories of libvirt that each host has to itself; name in the host's directory, place inside the host.
OWN_DIRECTORIES = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}

LIBVIRTD_CONF = """\
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{host_uuid}"
keepalive_interval = {interval}
keepalive_count = {count}
max_client_requests = 20
"""

QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
remember_owner = 0
dynamic_ownership = 0
migrate_tls_x509_cert_dir = "/etc/libvirt/pki"
keepalive_interval = {interval}
keepalive_count = {count}
"""

# /sys is mounted anew because it shows the network namespace of whoever mounted it.
BOOT_SCRIPT = """\
set -e
hostname "$1"
mount --make-rprivate /
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/libvirt /run/lock
{binds}
mount --bind "$2/hosts" /etc/hosts
mount --bind "$2/boot_id" /proc/sys/kernel/random/boot_id
echo ready
exec sleep infinity
"""

"""What a host can run: machine types, CPU models, huge pages, and what a guest needs of another host."""

from __future__ import annotations

from collectors.capabilities import HostAbilities, read_capabilities, read_cpu_models

CAPABILITIES = """\
<capabilities>
  <host>
    <cpu><arch>x86_64</arch><model>Skylake-Server</model><vendor>Intel</vendor>
      <feature name='pku'/><feature name='avx512f'/></cpu>
    <topology><cells num='2'>
      <cell id='0'><pages unit='KiB' size='4'>1000000</pages><pages unit='KiB' size='2048'>512</pages></cell>
      <cell id='1'><pages unit='KiB' size='4'>1000000</pages><pages unit='KiB' size='1048576'>2</pages></cell>
    </cells></topology>
  </host>
  <guest><os_type>hvm</os_type><arch name='x86_64'>
    <machine canonical='pc-q35-7.2' maxCpus='288'>q35</machine><machine maxCpus='255'>pc-i440fx-7.2</machine>
    <domain type='qemu'/><domain type='kvm'/></arch></guest>
  <guest><os_type>hvm</os_type><arch name='aarch64'><machine>virt</machine><domain type='qemu'/></arch></guest>
</capabilities>"""

DOMAIN_CAPABILITIES = """\
<domainCapabilities><cpu>
  <mode name='host-model' supported='yes'><model>Skylake-Server</model></mode>
  <mode name='custom' supported='yes'>
    <model usable='yes' vendor='Intel'>Haswell</model><model usable='no'>EPYC</model><model>qemu64</model>
  </mode></cpu></domainCapabilities>"""


def test_capabilities() -> None:
    """Machine types of the host's own architecture with their aliases, its virtualisation, its large pages."""
    host = read_capabilities(CAPABILITIES)
    assert host.machines == ("pc-i440fx-7.2", "pc-q35-7.2", "q35")
    assert (host.arch, host.virt_type, host.hugepages_mib) == ("x86_64", "kvm", 3072)


def test_cpu_models_are_the_usable_ones() -> None:
    """A model that the host's CPU cannot show is left out; none named means the host does not say."""
    assert read_cpu_models(DOMAIN_CAPABILITIES) == ("Haswell", "qemu64")
    assert read_cpu_models("<domainCapabilities/>") is None


def test_the_own_cpu_is_equal_only_for_equal_cpus() -> None:
    """The order of features does not matter; one feature more is another CPU."""
    one = read_capabilities(CAPABILITIES).own_cpu
    swapped = CAPABILITIES.replace(
        "<feature name='pku'/><feature name='avx512f'/>", "<feature name='avx512f'/><feature name='pku'/>"
    )
    assert one is not None
    assert one.startswith("host-passthrough:Skylake-Server/")
    assert read_capabilities(swapped).own_cpu == one
    assert read_capabilities(CAPABILITIES.replace("<feature name='pku'/>", "")).own_cpu != one


def test_what_a_guest_needs() -> None:
    """A named model needs that model, a passed-through CPU one just like it, an emulated CPU nothing."""
    host = HostAbilities(virt_type="kvm", own_cpu="host-passthrough:m/1")
    assert host.cpu_need("kvm", "custom", "Haswell") == "Haswell"
    assert host.cpu_need("kvm", "host-passthrough", None) == "host-passthrough:m/1"
    assert host.cpu_need("qemu", "custom", "Haswell") is None
    assert host.cpu_need("kvm", "", None) is None

"""What a host can run: machine types, CPU models, huge pages, and what a guest needs of another host."""

from __future__ import annotations

from collectors.capabilities import (
    HostAbilities,
    read_capabilities,
    read_cpu_models,
    read_host_model,
    read_offers,
)

CAPABILITIES = """\
<capabilities>
  <host>
    <cpu><arch>x86_64</arch><model>Skylake-Server</model><vendor>Intel</vendor>
      <feature name='pku'/><feature name='avx512f'/></cpu>
    <topology><cells num='2'>
      <cell id='0'><pages unit='KiB' size='4'>1000000</pages><pages unit='KiB' size='2048'>512</pages>
        <cpus num='2'><cpu id='0'/><cpu id='4'/></cpus></cell>
      <cell id='1'><pages unit='KiB' size='4'>1000000</pages><pages unit='KiB' size='1048576'>2</pages></cell>
    </cells></topology>
  </host>
  <guest><os_type>hvm</os_type><arch name='x86_64'>
    <machine canonical='pc-q35-7.2' maxCpus='288'>q35</machine><machine maxCpus='255'>pc-i440fx-7.2</machine>
    <domain type='qemu'/><domain type='kvm'/></arch></guest>
  <guest><os_type>hvm</os_type><arch name='aarch64'><machine>virt</machine><domain type='qemu'/></arch></guest>
</capabilities>"""

DOMAIN_CAPABILITIES = """\
<domainCapabilities>
  <os><loader><value>/usr/share/OVMF/OVMF_CODE.fd</value><enum name='type'><value>rom</value></enum></loader></os>
  <devices><tpm supported='yes'><enum name='backendModel'><value>emulator</value></enum></tpm></devices><cpu>
  <mode name='host-model' supported='yes'><model fallback='forbid'>Skylake-Server</model><vendor>Intel</vendor>
    <feature policy='require' name='vmx'/></mode>
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


def test_what_a_host_offers_beyond_models() -> None:
    """CPUs and NUMA nodes by their highest number; firmware, TPMs and every CPU feature that libvirt names."""
    assert read_capabilities(CAPABILITIES).offers == ("cpus:5", "numa_nodes:2")
    assert read_host_model(DOMAIN_CAPABILITIES) == (
        '<cpu mode="custom" match="exact"><model>Skylake-Server</model><feature policy="require" name="vmx" /></cpu>'
    )
    expanded = "<cpu><feature policy='require' name='vmx'/><feature policy='disable' name='hle'/></cpu>"
    offers = ("firmware:/usr/share/OVMF/OVMF_CODE.fd", "tpm:emulator")
    assert read_offers(DOMAIN_CAPABILITIES, None) == offers
    assert read_offers(DOMAIN_CAPABILITIES, expanded) == ("cpu_feature:vmx", *offers)


def test_a_host_that_names_no_model_offers_none_to_expand() -> None:
    """Unsupported or left out: nothing is asked of libvirt."""
    unsupported = DOMAIN_CAPABILITIES.replace("name='host-model' supported='yes'", "name='host-model' supported='no'")
    assert read_host_model(unsupported) is None
    assert read_host_model("<domainCapabilities/>") is None

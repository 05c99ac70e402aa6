"""The program inside a lab guest: a small 32-bit multiboot image whose CPU load and dirty rate are dials.

The guest needs no disk (QEMU loads the image as a kernel), so nothing about it forbids a live migration. It first fills
`filled_mib` of its memory; then a timer ticks `TICKS_PER_S` times a second. On each tick the program adds one to a
64-bit counter, writes one word into each of `pages_per_tick` pages (round and round over its hot area), decides whether
to spin or to halt until the next tick so that on average `cpu_millicores` / 1000 of the ticks are spent spinning, and
reads the keyboard: decimal digits followed by `c` set the CPU dial (thousandths of a core), by `d` the pages written
per tick.

From outside, `virDomainMemoryPeek` (physical) reads `MEMORY_BYTES` at `STATE_ADDRESS`: 16 bytes of signature, unique to
the guest, then the counter (little-endian). A reset of the guest loads the image anew: the counter starts at 0 again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

TICKS_PER_S = 50
PAGE_BYTES = 4096
SIGNATURE_BYTES = 16
MEMORY_BYTES = SIGNATURE_BYTES + 8

_LOAD_ADDRESS = 0x100000
_CODE_OFFSET = 0x40
STATE_ADDRESS = _LOAD_ADDRESS + 0x1000
_IDT_ADDRESS = _LOAD_ADDRESS + 0x2000
_GDT_ADDRESS = _LOAD_ADDRESS + 0x2800
_IMAGE_BYTES = 0x3000
_STACK_TOP = _LOAD_ADDRESS + 0x8000
HOT_ADDRESS = 0x400000
HOT_OFFSET_MIB = HOT_ADDRESS >> 20

_COUNTER = STATE_ADDRESS + 16
_CPU_MILLICORES = STATE_ADDRESS + 24
_PAGES_PER_TICK = STATE_ADDRESS + 28
_HOT_PAGES = STATE_ADDRESS + 32
_NEXT_PAGE = STATE_ADDRESS + 36
_TICKS = STATE_ADDRESS + 40
_SEEN = STATE_ADDRESS + 44
_SHARE = STATE_ADDRESS + 48
_SPINNING = STATE_ADDRESS + 52
_TYPED = STATE_ADDRESS + 56
_FILLED_PAGES = STATE_ADDRESS + 60

_PIT_HZ = 1193182
_TIMER_VECTOR = 0x20
_VECTORS = 0x30
_CODE_SELECTOR = 0x08
_DATA_SELECTOR = 0x10
_KEY_C = 0x2E
_KEY_D = 0x20


def pages_per_tick(dirty_mib_s: float) -> int:
    """Pages to write on each tick for a rate in MiB/s, rounded to the nearest page (about 0.2 MiB/s)."""
    return round(dirty_mib_s * (1 << 20) / PAGE_BYTES / TICKS_PER_S)


class _Assembler:
    """Machine code with labels: 32-bit x86, near jumps only."""

    def __init__(self, origin: int) -> None:
        self._origin = origin
        self._code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def address(self, name: str) -> int:
        return self._origin + self._labels[name]

    def emit(self, *parts: int | bytes) -> None:
        """Opcodes as small integers, operands as bytes (see `_u32`)."""
        for part in parts:
            self._code += part if isinstance(part, bytes) else bytes([part])

    def jump(self, opcode: bytes, target: str) -> None:
        self._code += opcode
        self._jumps.append((len(self._code), target))
        self._code += bytes(4)

    def out(self, port: int, value: int) -> None:
        self.emit(0xB0, value, 0xE6, port)  # mov al, value; out port, al

    def finish(self) -> bytes:
        for at, target in self._jumps:
            struct.pack_into("<i", self._code, at, self._labels[target] - (at + 4))
        return bytes(self._code)


_JMP, _JE, _JNE, _JB, _JA = b"\xe9", b"\x0f\x84", b"\x0f\x85", b"\x0f\x82", b"\x0f\x87"


def _u32(value: int) -> bytes:
    return struct.pack("<I", value)


def _start(asm: _Assembler) -> None:
    """Own segments and interrupt table, timer at TICKS_PER_S, every other interrupt masked, memory filled."""
    asm.emit(0xFA, 0xBC, _u32(_STACK_TOP))  # cli; mov esp, stack
    asm.emit(0x0F, 0x01, 0x15, _u32(_GDT_ADDRESS + 24))  # lgdt
    asm.emit(0x0F, 0x01, 0x1D, _u32(_GDT_ADDRESS + 32))  # lidt
    far_jump_bytes = 7
    asm.label("far")
    asm.emit(0xEA, _u32(asm.address("far") + far_jump_bytes), struct.pack("<H", _CODE_SELECTOR))
    asm.emit(0x66, 0xB8, struct.pack("<H", _DATA_SELECTOR))  # mov ax, data
    for segment in (0xD8, 0xC0, 0xD0, 0xE0, 0xE8):  # ds, es, ss, fs, gs
        asm.emit(0x8E, segment)
    for port, value in (
        (0x20, 0x11), (0xA0, 0x11), (0x21, _TIMER_VECTOR), (0xA1, _TIMER_VECTOR + 8),
        (0x21, 0x04), (0xA1, 0x02), (0x21, 0x01), (0xA1, 0x01), (0x21, 0xFE), (0xA1, 0xFF),
    ):  # fmt: skip
        asm.out(port, value)
    divisor = round(_PIT_HZ / TICKS_PER_S)
    asm.out(0x43, 0x34)
    asm.out(0x40, divisor & 0xFF)
    asm.out(0x40, divisor >> 8)
    asm.emit(0x8B, 0x0D, _u32(_FILLED_PAGES), 0xBA, _u32(HOT_ADDRESS))  # mov ecx, [filled_pages]; mov edx, hot
    asm.label("fill")
    asm.emit(0x89, 0x0A, 0x81, 0xC2, _u32(PAGE_BYTES), 0x49)  # mov [edx], ecx; add edx, page; dec ecx
    asm.jump(_JNE, "fill")


def _wait_for_tick(asm: _Assembler) -> None:
    """Interrupts stay off except here: `sti; hlt` cannot miss a tick that comes between the look and the halt."""
    asm.label("wait")
    asm.emit(0xA1, _u32(_TICKS))  # mov eax, [ticks]
    asm.emit(0x3B, 0x05, _u32(_SEEN))  # cmp eax, [seen]
    asm.jump(_JNE, "tick")
    asm.emit(0x83, 0x3D, _u32(_SPINNING), 0x00)  # cmp dword [spinning], 0
    asm.jump(_JE, "halt")
    asm.emit(0xFB, 0x90, 0x90, 0xFA)  # sti; nop; nop; cli
    asm.jump(_JMP, "wait")
    asm.label("halt")
    asm.emit(0xFB, 0xF4, 0xFA)  # sti; hlt; cli
    asm.jump(_JMP, "wait")


def _on_tick(asm: _Assembler) -> None:
    asm.label("tick")
    asm.emit(0xA3, _u32(_SEEN))  # mov [seen], eax
    asm.emit(0x83, 0x05, _u32(_COUNTER), 0x01)  # add dword [counter], 1
    asm.emit(0x83, 0x15, _u32(_COUNTER + 4), 0x00)  # adc dword [counter + 4], 0
    asm.emit(0xA1, _u32(_SHARE), 0x03, 0x05, _u32(_CPU_MILLICORES))  # mov eax, [share]; add eax, [cpu_millicores]
    asm.emit(0x31, 0xDB, 0x3D, _u32(1000))  # xor ebx, ebx; cmp eax, 1000
    asm.jump(_JB, "share")
    asm.emit(0x2D, _u32(1000), 0x43)  # sub eax, 1000; inc ebx
    asm.label("share")
    asm.emit(0xA3, _u32(_SHARE), 0x89, 0x1D, _u32(_SPINNING))  # mov [share], eax; mov [spinning], ebx
    asm.emit(0x8B, 0x0D, _u32(_PAGES_PER_TICK), 0x85, 0xC9)  # mov ecx, [pages_per_tick]; test ecx, ecx
    asm.jump(_JE, "keys")
    asm.emit(0xA1, _u32(_NEXT_PAGE))  # mov eax, [next_page]
    asm.label("page")
    asm.emit(0x89, 0xC2, 0xC1, 0xE2, 0x0C)  # mov edx, eax; shl edx, 12
    asm.emit(0xFF, 0x82, _u32(HOT_ADDRESS))  # inc dword [edx + hot]
    asm.emit(0x40, 0x3B, 0x05, _u32(_HOT_PAGES))  # inc eax; cmp eax, [hot_pages]
    asm.jump(_JB, "within")
    asm.emit(0x31, 0xC0)  # xor eax, eax
    asm.label("within")
    asm.emit(0x49)  # dec ecx
    asm.jump(_JNE, "page")
    asm.emit(0xA3, _u32(_NEXT_PAGE))  # mov [next_page], eax


def _read_keys(asm: _Assembler) -> None:
    """Digits build a number, `c` and `d` store it; releases and everything else are dropped."""
    asm.label("keys")
    asm.emit(0xE4, 0x64, 0xA8, 0x01)  # in al, 0x64; test al, 1
    asm.jump(_JE, "wait")
    asm.emit(0xE4, 0x60, 0x0F, 0xB6, 0xC0)  # in al, 0x60; movzx eax, al
    asm.emit(0x8B, 0x1D, _u32(_TYPED))  # mov ebx, [typed]
    for key, dial, following in ((_KEY_C, _CPU_MILLICORES, "not_c"), (_KEY_D, _PAGES_PER_TICK, "not_d")):
        asm.emit(0x3C, key)  # cmp al, key
        asm.jump(_JNE, following)
        asm.emit(0x89, 0x1D, _u32(dial), 0x31, 0xDB)  # mov [dial], ebx; xor ebx, ebx
        asm.jump(_JMP, "typed")
        asm.label(following)
    asm.emit(0x83, 0xE8, 0x02, 0x83, 0xF8, 0x09)  # sub eax, 2; cmp eax, 9
    asm.jump(_JA, "keys")
    asm.emit(0x40, 0x83, 0xF8, 0x0A)  # inc eax; cmp eax, 10
    asm.jump(_JNE, "digit")
    asm.emit(0x31, 0xC0)  # xor eax, eax: the key after 9 is 0
    asm.label("digit")
    asm.emit(0x6B, 0xDB, 0x0A, 0x01, 0xC3)  # imul ebx, ebx, 10; add ebx, eax
    asm.label("typed")
    asm.emit(0x89, 0x1D, _u32(_TYPED))  # mov [typed], ebx
    asm.jump(_JMP, "keys")


def _interrupts(asm: _Assembler) -> None:
    asm.label("timer")
    asm.emit(0x50, 0xB0, 0x20, 0xE6, 0x20)  # push eax; end of interrupt
    asm.emit(0xFF, 0x05, _u32(_TICKS), 0x58, 0xCF)  # inc dword [ticks]; pop eax; iret
    asm.label("ignore")
    asm.emit(0xCF)  # iret


def _tables(timer: int, ignore: int) -> tuple[bytes, bytes]:
    """The interrupt table, and the segment table followed by the two pseudo-descriptors."""
    gates = b""
    for vector in range(_VECTORS):
        handler = timer if vector == _TIMER_VECTOR else ignore
        gates += struct.pack("<HHHH", handler & 0xFFFF, _CODE_SELECTOR, 0x8E00, handler >> 16)
    segments = struct.pack("<QQQ", 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF)
    pointers = struct.pack("<HI2xHI", 23, _GDT_ADDRESS, len(gates) - 1, _IDT_ADDRESS)
    return gates, segments + pointers


def _pages(mib: int) -> int:
    return (mib << 20) // PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Dials:
    """What the guest does: CPU spent spinning (thousandths of a core), pages written per tick, size of the hot area.

    `filled_mib`, hot area included, is made of pages that are not zero: a migration has to carry them.
    """

    cpu_millicores: int
    pages_per_tick: int
    hot_mib: int
    filled_mib: int


def build(signature: bytes, dials: Dials) -> bytes:
    """The image file of one guest. `signature` is exactly 16 bytes."""
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    asm = _Assembler(_LOAD_ADDRESS + _CODE_OFFSET)
    _start(asm)
    _wait_for_tick(asm)
    _on_tick(asm)
    _read_keys(asm)
    _interrupts(asm)
    code = asm.finish()
    gates, segments = _tables(asm.address("timer"), asm.address("ignore"))
    magic, flags = 0x1BADB002, 0x00010000
    entry = _LOAD_ADDRESS + _CODE_OFFSET
    image_end = _LOAD_ADDRESS + _IMAGE_BYTES
    header = struct.pack(
        "<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, _LOAD_ADDRESS, _LOAD_ADDRESS, image_end, image_end, entry
    )
    state = signature + struct.pack(
        "<QIII", 0, dials.cpu_millicores, dials.pages_per_tick, max(1, _pages(dials.hot_mib))
    )
    filled = struct.pack("<I", max(1, _pages(dials.filled_mib)))
    image = bytearray(_IMAGE_BYTES)
    for address, part in (
        (_LOAD_ADDRESS, header),
        (entry, code),
        (STATE_ADDRESS, state),
        (_FILLED_PAGES, filled),
        (_IDT_ADDRESS, gates),
        (_GDT_ADDRESS, segments),
    ):
        image[address - _LOAD_ADDRESS : address - _LOAD_ADDRESS + len(part)] = part
    return bytes(image)

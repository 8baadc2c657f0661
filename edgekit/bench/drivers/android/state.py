"""What an Android device says of itself. It may say anything: what makes no sense is null."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.base import plain
from edgekit.bench.schema import Core, Device, Lab, State

__all__ = ["Snapshot", "battery_celsius", "big_cores", "facts_of", "snapshot_of"]

_PART = "edgekit-part:"
_SKIN = 3  # android.hardware.thermal TemperatureType
_CHARGING = (2, 5)  # BatteryManager: charging, full
_LIMIT = 8 << 20
_CPU = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"
_FACTS = f"""echo {_PART}props; getprop
echo {_PART}memory; cat /proc/meminfo
echo {_PART}cores; grep -sH '' {_CPU}/cpuinfo_max_freq {_CPU}/scaling_governor"""
_STATE = f"""for s in battery thermalservice power; do echo {_PART}$s; dumpsys $s; done
for s in low_power airplane_mode_on stay_on_while_plugged_in; do echo {_PART}$s; settings get global $s; done
echo {_PART}load; cat /proc/loadavg
echo {_PART}cores; grep -sH '' {_CPU}/scaling_cur_freq"""


@dataclass(frozen=True)
class Snapshot:
    """A device at one moment. `airplane_setting` and `awake_setting` are digits, "null" if never set, or None."""

    state: State
    screen_on: bool | None
    airplane: bool | None
    airplane_setting: str | None
    awake_setting: str | None


async def facts_of(adb: Adb, timeout: float) -> Device:
    """What stays the same; DeviceError where it cannot be asked within `timeout` seconds."""
    parts = await _ask(adb, _FACTS, timeout, "reading its properties")
    props = {key: plain(value) for key, value in re.findall(r"^\[([^\]]+)\]: \[(.*)\]$", parts.get("props", ""), re.M)}
    cores = _cores(parts.get("cores", ""))
    memory = _number(r"^MemTotal:\s+(\d{1,15}) kB", parts.get("memory", ""))
    api = _number(r"^(\d{1,3})$", props.get("ro.build.version.sdk", ""))
    soc = " ".join(props[key] for key in ("ro.soc.manufacturer", "ro.soc.model") if props.get(key))
    return Device(
        platform="android",
        manufacturer=props.get("ro.product.manufacturer") or None,
        model=props.get("ro.product.model") or None,
        soc=soc or props.get("ro.board.platform") or None,
        os=f"Android {props['ro.build.version.release']}" if props.get("ro.build.version.release") else None,
        api=None if api is None else int(api) or None,
        abi=props.get("ro.product.cpu.abi") or None,
        ram_bytes=None if memory is None else int(memory) * 1024,
        cores=tuple(_core(core, files) for core, files in sorted(cores.items())) or None,
        emulated=_emulated(props),
        lab=Lab(provider="adb", serial_sha256=sha256((adb.serial or "").encode()).hexdigest()),
    )


async def snapshot_of(adb: Adb, timeout: float) -> Snapshot:
    """What changes; DeviceError where it cannot be asked within `timeout` seconds."""
    parts = await _ask(adb, _STATE, timeout, "reading its state")
    battery, power = parts.get("battery", ""), parts.get("power", "")
    level, scale = _number(r"^\s*level: (\d{1,6})$", battery), _number(r"^\s*scale: (\d{1,6})$", battery)
    status = _number(r"^\s*status: (\d{1,3})$", battery)
    thermal = parts.get("thermalservice", "")
    heat = _number(r"^\s*Thermal Status: (\d{1,3})$", thermal)
    khz = {str(core): _khz(files.get("scaling_cur_freq")) for core, files in _cores(parts.get("cores", "")).items()}
    airplane = _setting(parts.get("airplane_mode_on", ""))
    return Snapshot(
        state=State(
            thermal_status=int(heat) if heat is not None and heat <= 10 else None,
            temperature_c=_skin(thermal) or _battery(battery),
            battery_pct=100 * level / scale if level is not None and scale and level <= scale else None,
            charging=None if status is None else int(status) in _CHARGING,
            low_power=_low_power(power, parts.get("low_power", "")),
            load=_within(_number(r"^(\d{1,5}\.\d{1,4}) ", parts.get("load", "")), 0, 1e5),
            core_khz={core: value for core, value in khz.items() if value is not None} or None,
        ),
        screen_on=_screen(power),
        airplane=None if airplane is None else airplane not in ("0", "null"),
        airplane_setting=airplane,
        awake_setting=_setting(parts.get("stay_on_while_plugged_in", "")),
    )


async def battery_celsius(adb: Adb, timeout: float) -> float | None:
    """The battery's temperature now; DeviceError where the device cannot be asked within `timeout` seconds."""
    done = await adb.shell(["dumpsys", "battery"], timeout, doing="waiting for it to cool down", limit=_LIMIT)
    return _battery(done.text)


def big_cores(cores: tuple[Core, ...] | None, threads: int) -> tuple[int, ...] | None:
    """The fastest clusters of cores that have room for `threads`; None where the frequencies are not known."""
    speeds = {core.id: core.max_khz for core in cores or () if core.max_khz}
    chosen: list[int] = []
    for speed in sorted(set(speeds.values()), reverse=True):
        chosen += [core for core, own in speeds.items() if own == speed]
        if len(chosen) >= threads:
            break
    return tuple(sorted(chosen)) or None


async def _ask(adb: Adb, script: str, timeout: float, doing: str) -> dict[str, str]:
    """The output of a script, by the names that it echoes between its commands."""
    done = await adb.shell(["sh", "-c", script], timeout, doing=doing, limit=_LIMIT)
    parts: dict[str, str] = {}
    for part in done.text.replace("\r\n", "\n").split(_PART)[1:]:
        name, _, text = part.partition("\n")
        parts.setdefault(name, text)
    return parts


def _emulated(props: dict[str, str]) -> bool | None:
    qemu = "1" in (props.get("ro.kernel.qemu"), props.get("ro.boot.qemu"))
    hardware = props.get("ro.hardware") in ("goldfish", "ranchu", "cutf_cvm")
    kinds = props.get("ro.build.characteristics", "").split(",")
    return qemu or hardware or "emulator" in kinds if props else None


def _cores(text: str) -> dict[int, dict[str, str]]:
    """Files of /sys by core, as `grep -H` prints them."""
    cores: dict[int, dict[str, str]] = {}
    for core, name, value in re.findall(r"/cpu(\d{1,3})/cpufreq/(\w{1,40}):(.{0,200})$", text, re.M):
        cores.setdefault(int(core), {})[name] = value
    return cores


def _core(number: int, files: dict[str, str]) -> Core:
    governor = plain(files.get("scaling_governor", "")) or None
    return Core(id=number, max_khz=_khz(files.get("cpuinfo_max_freq")), governor=governor)


def _skin(text: str) -> float | None:
    """The warmest skin sensor in `dumpsys thermalservice`; what it has from before comes first and is left out."""
    _, _, now = text.rpartition("Current temperatures from HAL:")
    pattern = rf"mValue=(-?\d{{1,4}}(?:\.\d{{1,9}})?), mType={_SKIN},"
    values = [_within(float(value), -30, 150) for value in re.findall(pattern, now)]
    return max((value for value in values if value is not None), default=None)


def _battery(text: str) -> float | None:
    tenths = _number(r"^\s*temperature: (-?\d{1,5})$", text)
    return None if tenths is None else _within(tenths / 10, -30, 150)


def _low_power(power: str, setting: str) -> bool | None:
    modes = set(re.findall(r"^\s*m(?:LowPowerModeEnabled|SettingBatterySaverEnabled)=(true|false)$", power, re.M))
    if "true" in modes or setting.strip() == "1":
        return True
    return False if modes or setting.strip() in ("0", "null") else None


def _screen(power: str) -> bool | None:
    wakefulness = re.search(r"^\s*mWakefulness=(\w{1,20})$", power, re.M)
    return None if wakefulness is None else wakefulness.group(1) == "Awake"


def _setting(text: str) -> str | None:
    text = text.strip()
    return text if re.fullmatch(r"[0-9]{1,9}|null", text) else None


def _number(pattern: str, text: str) -> float | None:
    match = re.search(pattern, text, re.M | re.A)
    return None if match is None else float(match.group(1))


def _khz(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,12}", text) else None


def _within(value: float | None, low: float, high: float) -> float | None:
    return value if value is not None and low <= value <= high else None

"""A storage service that binds and formats volumes, and lets pods attach to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from fake_resources.fakes import Fake, counter


class StorageFull(Exception):
    """The storage service has no room for a volume."""


@dataclass
class Volume(Fake):
    """A volume of *size* GB; one pod may write to it, all attached ones read.

    *formats* counts how often it was formatted, and emptied thereby.
    """

    name: str
    size: int
    ready: bool = False
    attached: list[str] = field(default_factory=list)
    writer: str = ""
    formats: int = counter()

    def format(self) -> None:
        """Begin to bind and format it; it is not ready until that is done."""
        self.formats += 1
        self.ready = False
        self.ask("format volume", self.name, "end_format", self.formats)

    def attach(self, pod: str) -> None:
        """Begin to attach *pod*."""
        generation = self.world.pods[pod].generation
        self.ask("attach volume", pod, "end_attach", pod, generation)

    def lock(self, pod: str) -> None:
        """Begin to take the write lock for *pod*."""
        generation = self.world.pods[pod].generation
        self.ask("lock volume", pod, "end_lock", pod, generation)

    def detach(self, pod: str) -> None:
        """Forget *pod*, and its write lock."""
        self.attached = [name for name in self.attached if name != pod]
        if self.writer == pod:
            self.writer = ""

    def end_format(self, number: int) -> None:
        """Mark it ready, unless it is being formatted once more."""
        if number == self.formats:
            self.ready = True

    def end_attach(self, pod: str, generation: int) -> None:
        """Attach *pod*, if it is still the one that asked."""
        if self._is_there(pod, generation):
            self.world.pods[pod].disk = self.size
            self.attached = sorted({*self.attached, pod})

    def end_lock(self, pod: str, generation: int) -> None:
        """Make *pod* the writer, if it is still the one that asked."""
        if self._is_there(pod, generation):
            self.writer = pod

    def _is_there(self, name: str, generation: int) -> bool:
        pod = self.world.pods.get(name)
        return pod is not None and pod.generation == generation


@dataclass
class Storage(Fake):
    """A service with room for *capacity* GB of volumes."""

    capacity: int
    full: bool = False
    volumes: dict[str, Volume] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """The GB that its volumes take."""
        return sum(volume.size for volume in self.volumes.values())

    def fill(self) -> None:
        """Use up all the room that is left."""
        self.full = True

    def recover(self) -> None:
        """Give that room back."""
        self.full = False

    def prepare(self, name: str, size: int) -> None:
        """Begin to bind the volume and format it, however often it was before.

        Raises `StorageFull` if there is no room for a new one.
        """
        if name not in self.volumes:
            if self.full or self.used + size > self.capacity:
                left = 0 if self.full else self.capacity - self.used
                raise StorageFull(f"no room for {name}: {size} GB asked, {left} GB left")
            place = ("storage", "volumes", name)
            self.volumes[name] = self.world.adopt(Volume(name, size), *place)
        self.volumes[name].format()

    def extend(self, name: str, size: int) -> None:
        """Set the size of the volume to *size* GB; file systems stay as they are."""
        self.volumes[name].size = size

    def release(self, name: str) -> None:
        """Remove the volume, if it is there."""
        if self.volumes.pop(name, None) is not None:
            self.world.changed()


__all__ = ["Storage", "StorageFull", "Volume"]

"""The Kubernetes container runtime interface (CRI), as the containerd at hand speaks it.

Debian 12 has no package with the protocol's file, but every Go program that speaks a protocol
carries its description: a FileDescriptorProto, compressed with gzip. So the messages are those of
the very containerd that is asked, whatever its version.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP = b"\x1f\x8b\x08\x00\x00"  # deflate, no flags, no time: as protoc-gen-gogo writes it
_LONGEST = 1 << 20
PACKAGE = "runtime.v1"


def read_descriptor(program: str, package: str) -> descriptor_pb2.FileDescriptorProto:
    """Return the description of a protocol package that is embedded in a Go program.

    Raises:
        LookupError: the program does not speak it.
    """
    for text in _compressed_texts(program):
        try:
            found = descriptor_pb2.FileDescriptorProto.FromString(text)
        except DecodeError:
            continue
        if found.package == package and found.service:
            return found
    raise LookupError(f"{program} holds no description of {package}")


def _compressed_texts(program: str) -> Iterator[bytes]:
    with open(program, "rb") as file:
        data = file.read()
    at = data.find(_GZIP)
    while at >= 0:
        try:
            yield zlib.decompressobj(wbits=31).decompress(data[at : at + _LONGEST])
        except zlib.error:
            pass
        at = data.find(_GZIP, at + 1)


class Protocol:
    """The messages and methods of the CRI; both are made from the description alone."""

    def __init__(self, containerd: str) -> None:
        description = read_descriptor(containerd, PACKAGE)
        # Go's own options say how Go code looks; nothing of them is on the wire.
        del description.dependency[:]
        _forget_options(description)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(description)
        self._pool = pool
        self._services = {
            method.name: (f"/{PACKAGE}.{service.name}/{method.name}", method)
            for service in description.service
            for method in service.method
        }

    def message(self, name: str, **fields: Any) -> Any:
        """Return a new message; nested messages may be given as dicts."""
        kind = message_factory.GetMessageClass(
            self._pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        )
        return kind(**fields)

    def has_field(self, message: str, field: str) -> bool:
        described = self._pool.FindMessageTypeByName(f"{PACKAGE}.{message}")
        return field in described.fields_by_name

    def call(
        self, channel: grpc.Channel, method: str, fields: dict[str, Any], seconds: float
    ) -> Any:
        """Call a method with one answer; raises grpc.RpcError as a kubelet would see it."""
        path, described = self._services[method]
        request = self.message(described.input_type.rpartition(".")[2], **fields)
        answer = type(self.message(described.output_type.rpartition(".")[2]))
        invoke = channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return invoke(request, timeout=seconds, wait_for_ready=True)


def _forget_options(description: descriptor_pb2.FileDescriptorProto) -> None:
    description.ClearField("options")
    for message in description.message_type:
        _forget_message_options(message)
    for enum in description.enum_type:
        enum.ClearField("options")


def _forget_message_options(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("options")
    for nested in message.nested_type:
        map_entry = nested.options.map_entry
        nested.ClearField("options")
        if map_entry:
            nested.options.map_entry = True
        _forget_message_options(nested)

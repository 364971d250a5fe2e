"""config.md: version, root, names, annotations, extensibility; bundle.md and glossary.md."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from conformance.case import Section

if TYPE_CHECKING:
    from conformance.room import Room

SPEC = Section("config.md")
BUNDLE = Section("bundle.md")
GLOSSARY = Section("glossary.md")


@SPEC.family("config.ociVersion.valid.{0}", "MUST", "specification-version",
             "a configuration of version {0} is accepted",
             ["1.0.0", "1.0.2-dev", "1.0.2", "1.1.0", "1.2.1", "1.3.0"])  # fmt: skip
def valid_version(room: Room, version: str) -> None:
    room.config["ociVersion"] = version
    room.accepts()


@SPEC.family("config.ociVersion.invalid.{1}", "MUST", "specification-version",
             "a version that is no SemVer 2.0.0 is refused: {1}",
             [("", "empty"), ("banana", "word"), ("1.0", "two-numbers"), ("1.0.0.0", "four-numbers"),
              ("v1.0.0", "prefix"), ("01.0.0", "leading-zero"), ("1.0.0-", "empty-suffix")])  # fmt: skip
def invalid_version(room: Room, version: str, _: str) -> None:
    room.config["ociVersion"] = version
    room.rejects("/ociVersion")


@SPEC.must(
    "config.ociVersion.next-major",
    "specification-version",
    "another major version is not compatible",
)
def next_major(room: Room) -> None:
    room.config["ociVersion"] = "2.0.0"
    room.rejects("/ociVersion")


@SPEC.must("root.relative", "root", "root.path may be relative to the bundle")
def root_relative(room: Room) -> None:
    room.file("bundle/rootfs/marker", "here\n")
    room.equal(room.run("cat /marker"), "here")


@SPEC.must("root.absolute", "root", "root.path may be absolute")
def root_absolute(room: Room) -> None:
    room.config["root"]["path"] = room.rootfs
    room.file("bundle/rootfs/marker", "here\n")
    room.equal(room.run("cat /marker"), "here")


@SPEC.should("root.other-name", "root", "rootfs is the conventional name, not the only one")
def root_other_name(room: Room) -> None:
    os.rename(room.rootfs, f"{room.bundle}/other")
    room.config["root"]["path"] = "other"
    room.accepts()


@SPEC.must("root.missing", "root", "a directory must exist at root.path")
def root_missing(room: Room) -> None:
    room.config["root"]["path"] = "nowhere"
    room.rejects("/root/path")


@SPEC.must("root.file", "root", "what is at root.path must be a directory")
def root_file(room: Room) -> None:
    room.config["root"]["path"] = room.file("bundle/file", "")
    room.rejects("/root/path")


@SPEC.must("root.readonly", "root", "with readonly the root cannot be written to")
def root_readonly(room: Room) -> None:
    room.config["root"]["readonly"] = True
    room.equal(room.run("touch /x 2>/dev/null && echo wrote || echo refused"), "refused")


@SPEC.must("root.writable", "root", "readonly is false by default")
def root_writable(room: Room) -> None:
    room.equal(room.run("touch /x && echo wrote"), "wrote")


@SPEC.must("root.readonly-false", "root", "with readonly false the root can be written to")
def root_readonly_false(room: Room) -> None:
    room.config["root"]["readonly"] = False
    room.equal(room.run("touch /x && echo wrote"), "wrote")


@SPEC.must("config.hostname", "hostname", "hostname is what processes in the container see")
def hostname(room: Room) -> None:
    room.config["hostname"] = "slartibartfast"
    room.equal(room.run("hostname"), "slartibartfast")


@SPEC.must("config.hostname-without-uts", "hostname",
           "a hostname without a UTS namespace of the container's is applied or an error")  # fmt: skip
def hostname_without_uts(room: Room) -> None:
    # Applied, it would be the host's: no runtime may do that to the machine that runs this.
    room.without_namespace("uts")
    room.config["hostname"] = os.uname().nodename + "-other"
    room.rejects("/hostname")


@SPEC.must("config.domainname", "domainname", "domainname is what processes in the container see")
def domainname(room: Room) -> None:
    room.config["domainname"] = "foobarbaz.test"
    room.equal(room.run("cat /proc/sys/kernel/domainname"), "foobarbaz.test")


@SPEC.family("config.platform.{0}", "MAY", "platform-specific-configuration",
             "a section for {0} may be there", ["solaris", "windows", "vm", "zos", "freebsd"])  # fmt: skip
def platform(room: Room, name: str) -> None:
    sections = {
        "solaris": {"milestone": "svc:/milestone/container:default"},
        "windows": {"layerFolders": ["c:\\layer"]},
        "vm": {"kernel": {"path": "/vmlinuz"}},
        "zos": {"namespaces": [{"type": "ipc"}]},
        "freebsd": {"devices": []},
    }
    room.config[name] = sections[name]
    room.accepts()


@SPEC.must("config.linux-empty", "platform-specific-configuration", "linux may be empty")
def linux_empty(room: Room) -> None:
    # Without namespaces of its own a container would act on the host: a mount namespace it needs.
    room.config["linux"] = {"namespaces": [{"type": "mount"}], "cgroupsPath": f"/{room.tag}"}
    room.accepts()


# -- annotations


@SPEC.must(
    "annotations.in-state", "annotations", "annotations are a map of strings, kept in the state"
)
def annotations_in_state(room: Room) -> None:
    room.config["annotations"] = {"com.example.key": "value", "com.example.empty": ""}
    room.create()
    found = room.state().get("annotations", {})
    for key, value in room.config["annotations"].items():
        room.equal(found.get(key), value, key)


@SPEC.may("annotations.empty-map", "annotations", "annotations may be an empty map")
def annotations_empty(room: Room) -> None:
    room.config["annotations"] = {}
    room.accepts()


@SPEC.may("annotations.empty-value", "annotations", "a value may be an empty string")
def annotations_empty_value(room: Room) -> None:
    room.config["annotations"] = {"com.example.key": ""}
    room.accepts()


@SPEC.may("annotations.structured", "annotations", "a value may be structured")
def annotations_structured(room: Room) -> None:
    value = json.dumps({"a": [1, 2]})
    room.config["annotations"] = {"com.example.key": value}
    room.create()
    room.equal(room.state()["annotations"]["com.example.key"], value)


@SPEC.must("annotations.empty-key", "annotations", "a key must not be an empty string")
def annotations_empty_key(room: Room) -> None:
    room.config["annotations"] = {"": "value"}
    room.rejects("/annotations/")


@SPEC.family("annotations.value-{1}", "MUST", "annotations", "a value must be a string, not {1}",
             [(7, "a-number"), (True, "a-bool"), (None, "null"), ({}, "an-object"), ([], "an-array")])  # fmt: skip
def annotations_value(room: Room, value: object, _: str) -> None:
    room.config["annotations"] = {"com.example.key": value}
    room.rejects("/annotations/com.example.key")


@SPEC.must("annotations.array", "annotations", "annotations must be a map, not an array")
def annotations_array(room: Room) -> None:
    room.config["annotations"] = ["com.example.key"]
    room.rejects("/annotations")


@SPEC.must(
    "annotations.unknown-key", "annotations", "an unknown key, even a reserved one, is no error"
)
def annotations_unknown(room: Room) -> None:
    room.config["annotations"] = {"org.opencontainers.banana": "1", "plain": "2"}
    room.accepts()


IMAGE = """os os.version os.features architecture variant author created stopSignal""".split()


@SPEC.family("annotations.image.{0}", "MAY", "annotations",
             "org.opencontainers.image.{0} may be used", IMAGE)  # fmt: skip
def annotations_image(room: Room, name: str) -> None:
    room.config["annotations"] = {f"org.opencontainers.image.{name}": "linux"}
    room.accepts()


# -- the text of config.json


@SPEC.must("config.unknown-does-not-change", "extensibility", "an unknown property changes nothing")
def unknown_changes_nothing(room: Room) -> None:
    room.process["noNewPriviliges"] = True
    found = room.run("grep NoNewPrivs /proc/self/status").split()[1]
    room.equal(found, "0", "NoNewPrivs")


@GLOSSARY.must("json.not-utf8", "json", "config.json must be UTF-8")
def not_utf8(room: Room) -> None:
    room.config["annotations"] = {"com.example.key": "PLACE"}
    text = json.dumps(room.config).encode().replace(b"PLACE", b"\xff\xfe")
    room.rejects("/annotations/com.example.key", text=text)


@GLOSSARY.must("json.utf8", "json", "config.json may have any character of Unicode")
def utf8(room: Room) -> None:
    room.process["args"] = ["/bin/echo", "grüße 日本 🦊"]
    room.write_config(json.dumps(room.config, ensure_ascii=False))
    room.create(write=False)
    room.start()
    room.wait()
    room.equal(room.read_output().strip(), "grüße 日本 🦊")


@GLOSSARY.family("json.duplicate.{0}", "MUST", "json", "a name must not occur twice: {0}",
                 ["ociVersion", "root", "process", "linux"])  # fmt: skip
def duplicate(room: Room, name: str) -> None:
    whole = json.dumps(room.config)
    again = json.dumps({name: room.config[name]})
    room.rejects(f"/{name}", text=again[:-1] + ", " + whole[1:])


@GLOSSARY.must("json.duplicate-deep", "json", "a name must not occur twice in an object further in")
def duplicate_deep(room: Room) -> None:
    text = json.dumps(room.config).replace('"cwd": "/"', '"cwd": "/", "cwd": "/tmp"')
    room.rejects("/process/cwd", text=text)


@GLOSSARY.must("json.order", "json", "the order of names is of no meaning")
def json_order(room: Room) -> None:
    room.config = dict(reversed(list(room.config.items())))
    room.accepts()


@SPEC.family("config.text.{0}", "MUST", "valid-values", "config.json must be one JSON object: {0}",
             [("empty", ""), ("truncated", '{"ociVersion": "1.0.2"'), ("array", "[]"), ("null", "null"),
              ("trailing-comma", '{"ociVersion": "1.0.2",}')])  # fmt: skip
def no_json(room: Room, _: str, text: str) -> None:
    room.rejects("", text=text)


# -- bundle.md


@BUNDLE.must("bundle.config-missing", "container-format", "config.json is REQUIRED")
def config_missing(room: Room) -> None:
    room.refused(room.try_create(write=False))
    room.nothing_is_left()


@BUNDLE.must(
    "bundle.config-elsewhere", "container-format", "config.json must be in the bundle's root"
)
def config_elsewhere(room: Room) -> None:
    os.mkdir(f"{room.bundle}/inner")
    room.write_config()
    os.rename(f"{room.bundle}/config.json", f"{room.bundle}/inner/config.json")
    room.refused(room.try_create(write=False))
    room.nothing_is_left()


@BUNDLE.must("bundle.config-other-name", "container-format", "config.json must have that name")
def config_other_name(room: Room) -> None:
    room.write_config()
    os.rename(f"{room.bundle}/config.json", f"{room.bundle}/Config.json")
    room.refused(room.try_create(write=False))
    room.nothing_is_left()


@BUNDLE.must("bundle.missing", "container-format", "the bundle must be a directory that exists")
def bundle_missing(room: Room) -> None:
    room.refused(room.call("create", "--bundle", f"{room.directory}/nowhere", room.id))
    room.nothing_is_left()

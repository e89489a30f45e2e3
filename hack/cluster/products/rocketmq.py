"""Collects a RocketMQ distribution from Maven artifacts, and compiles the message client."""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from base.commands import Runner, call
from base.errors import ClusterError
from base.folders import IMAGE_SOURCE, build_log
from base.versions import at_least

POM = IMAGE_SOURCE / "rocketmq" / "pom.xml"

# 4.9 unmaps files through internals that JDK 17 closes: without these, deleting a topic fails.
# They go into its scripts, the one change to stock files: JAVA_OPT_EXT is for whoever runs the
# image, and JDK_JAVA_OPTIONS adds a first line to `java -version`, which the scripts parse.
_OPENED = ("java.nio", "sun.nio.ch", "jdk.internal.ref", "java.lang")
_SCRIPT_LINE = 'JAVA_OPT="${JAVA_OPT} ${JAVA_OPT_EXT}"'
_SCRIPTS = ("runserver.sh", "runbroker.sh")


def jvm_options(version: str) -> str:
    """Return what a JVM of Java 17 needs to run `version`; from 5.0 on nothing."""
    if at_least(version, "5.0"):
        return ""
    return " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)


def with_options(script: str, options: str) -> str:
    """Return one of the stock scripts with JVM options before the user's own."""
    if script.count(_SCRIPT_LINE) != 1:
        raise ClusterError("a stock script of RocketMQ has changed: where do JVM options go now?")
    return script.replace(_SCRIPT_LINE, _SCRIPT_LINE.replace(" ${", f" {options} ${{", 1))


def scripts_version(version: str, versions: Mapping[str, str]) -> str:
    """Return the release whose source archive has the scripts of `version`."""
    return versions.get(f"ROCKETMQ_{version.replace('.', '_')}_SCRIPTS", version)


def rocketmq_files(target: Path, version: str, versions: Mapping[str, str], run: Runner) -> None:
    """Fill `target` with bin/, conf/ and lib/, as the binary release has them."""
    _jars(target / "lib", version, run)
    scripts = scripts_version(version, versions)
    with tempfile.TemporaryDirectory(dir=target) as folder:
        archive = _source_archive(Path(folder), scripts, run)
        _unpack_distribution(archive, Path(folder), target)
    if options := jvm_options(version):
        for name in _SCRIPTS:
            stock = (target / "bin" / name).read_text(encoding="utf-8")
            (target / "bin" / name).write_text(with_options(stock, options), encoding="utf-8")
    for script in (target / "bin").rglob("*"):
        if script.is_file():
            script.chmod(0o755)


def compile_client(source: Path, context: Path, version: str, run: Runner) -> None:
    """Compile the message client against the jars of `version`."""
    with tempfile.TemporaryDirectory(dir=context) as folder:
        jars = Path(folder)
        _jars(jars, version, run)
        programs = sorted(source.glob("*.java"))
        options = ("--release", "11", "-Xlint:all,-options,-path,-processing", "-cp", f"{jars}/*")
        log = build_log("message-client")
        run(call("javac", *options, "-d", context / "classes", *programs, log=log))
    for name in ("message-client", "logback.xml"):
        shutil.copy2(source / name, context)
    (context / "message-client").chmod(0o755)


def _maven(version: str, *arguments: str) -> tuple[str, ...]:
    profile = ("-P", "since-5") if at_least(version, "5.0") else ()
    settings = ("-B", "-ntp", "-f", str(POM), f"-Drocketmq.version={version}")
    return ("mvn", *settings, *profile, *arguments)


def _jars(target: Path, version: str, run: Runner) -> None:
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}")
    run(call(*_maven(version, *goal), log=build_log(f"maven-{version}")))


def _source_archive(target: Path, version: str, run: Runner) -> Path:
    artifact = f"-Dartifact=org.apache.rocketmq:rocketmq-all:{version}:zip:source-release"
    goal = ("dependency:copy", artifact, f"-DoutputDirectory={target}")
    run(call(*_maven(version, *goal), log=build_log(f"maven-{version}")))
    return target / f"rocketmq-all-{version}-source-release.zip"


def _unpack_distribution(archive: Path, folder: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    found = list(folder.glob("*/distribution"))
    if len(found) != 1:
        raise ClusterError(f"{archive.name} has no distribution folder")
    for part in ("bin", "conf"):
        shutil.copytree(found[0] / part, target / part)
    # From 5.0 on the release takes these from its modules (distribution/release.xml). Without
    # them every server logs by whichever file is first on its class path.
    for file in folder.glob("*/*/src/main/resources/rmq.*.logback.xml"):
        shutil.copy2(file, target / "conf")

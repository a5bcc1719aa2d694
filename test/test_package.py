"""The tree as a whole: what imports what, versions, generated documents, installation."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from glob import glob
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gcseg_ros
from gcseg_ros.commands.config_docs import as_markdown

ROOT = Path(__file__).parents[1]
ROS = {"rclpy", "sensor_msgs", "geometry_msgs", "nav_msgs", "std_msgs", "std_srvs", "visualization_msgs", "tf2_ros"}
ROS |= {"rosgraph_msgs", "diagnostic_msgs", "lifecycle_msgs", "builtin_interfaces", "launch", "launch_ros", "cv_bridge"}
ROS |= {"rcl_interfaces", "tf2_msgs", "vision_msgs"}
FROM_PIP = {"numpy", "scipy", "pydantic", "rich", "torch", "yaml"}
COME_ALONG = {"pydantic_core", "PIL", "hydra", "omegaconf"}  # of pydantic and sam2, which are used through them
STARTED = {"rviz2", "ros2bag", "rosbag2_storage_default_plugins", "rosbag2_storage_mcap"}
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH", "PYTHONPATH")
}


def imports(file):
    """Top-level names of the packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_only_nodes_import_ros():
    for file in ROOT.glob("gcseg_ros/**/*.py"):
        if file.is_relative_to(ROOT / "gcseg_ros" / "nodes"):
            continue
        for module in imports(file):
            assert module.split(".")[0] not in ROS, f"{file} imports {module}"
            assert not module.startswith("gcseg_ros.nodes"), f"{file} imports {module}"


def test_folders_and_modules_import_each_other_in_one_direction():
    """Imports within functions count as well."""
    units = {path.stem for path in (ROOT / "gcseg_ros").iterdir()} - {"__init__", "__pycache__"}
    needs = {}
    for file in ROOT.glob("gcseg_ros/**/*.py"):
        unit = file.relative_to(ROOT / "gcseg_ros").parts[0].removesuffix(".py")
        within = (module.split(".")[1] for module in imports(file) if module.startswith("gcseg_ros."))
        needs.setdefault(unit, set()).update(units & {*within} - {unit})
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the cycle


def test_training_is_no_part_of_the_package():
    for file in ROOT.glob("gcseg_ros/**/*.py"):
        assert "offline_training" not in {module.split(".")[0] for module in imports(file)}, file


def test_the_core_runs_where_neither_ros_nor_torch_is_importable():
    torch = (
        "gcseg_ros.segmentation.",
        "gcseg_ros.networks.",
        "gcseg_ros.masks.sam",
        "gcseg_ros.propagation.sam2",
    )
    code = (
        "import sys, pkgutil, importlib, gcseg_ros\n"
        f"sys.modules.update(dict.fromkeys({sorted(ROS | {'torch', 'torchvision', 'segment_anything', 'sam2'})}))\n"
        "for module in pkgutil.walk_packages(gcseg_ros.__path__, 'gcseg_ros.'):\n"
        f"    if not module.name.startswith(('gcseg_ros.nodes.', *{torch})):\n"
        "        importlib.import_module(module.name)\n"
        "from gcseg_ros.mapper import Mapper\n"
        "Mapper()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=CLEAN)
    assert done.returncode == 0, done.stderr


def test_versions_agree():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    written = re.search(r'version="(.+?)"', (ROOT / "setup.py").read_text())
    assert manifest.findtext("version") == gcseg_ros.__version__ == written[1]
    assert manifest.findtext("name") == "gcseg_ros"


def test_the_ros_packages_that_are_imported_or_started_are_declared_and_no_others():
    declared = [e.text for e in ElementTree.parse(ROOT / "package.xml").getroot() if e.tag == "exec_depend"]
    assert len(set(declared)) == len(declared)
    files = [*ROOT.glob("gcseg_ros/nodes/**/*.py"), *ROOT.glob("launch/*.py")]
    imported = {module.split(".")[0] for file in files for module in imports(file)} - sys.stdlib_module_names
    ros = {name for name in declared if not name.startswith("python3-")}
    assert ros == imported - FROM_PIP - {"gcseg_ros"} | STARTED


def test_what_is_imported_is_asked_for_by_name():
    """What comes with another package today does not with its other versions."""

    def plain(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    asked = {plain(name) for name in re.findall(r'"([\w.-]+)', (ROOT / "setup.py").read_text())}
    bring = importlib.metadata.packages_distributions()
    for file in ROOT.glob("gcseg_ros/**/*.py"):
        for name in {module.split(".")[0] for module in imports(file)} - ROS - COME_ALONG - {"gcseg_ros"}:
            assert name not in bring or asked & {*map(plain, bring[name])}, f"{file} imports {name}"


def test_executables_exist():
    scripts = re.findall(r'"(\w+) = ([\w.]+):(\w+)"', (ROOT / "setup.py").read_text())
    assert {name for name, _, _ in scripts} >= {"gcseg", "mapping_node", "replay_node"}
    for _, module, function in scripts:
        file = ROOT / (module.replace(".", "/") + ".py")
        names = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert function in names, file


def test_the_configuration_page_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text() == as_markdown(), (
        "gcseg config --markdown > docs/configuration.md"
    )


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_commands_in_documents_exist(document, capsys):
    from gcseg_ros.cli import main

    text = document.read_text()
    blocks = "\n".join(re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    for line in blocks.splitlines():
        line = line.split("#")[0].strip()
        words = line.split()
        if words[:1] == ["make"]:
            targets = {word for word in words[1:] if "=" not in word}
            known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
            assert targets <= known, line
        elif words[:1] and words[0].endswith("gcseg"):
            assert main([words[1], "--help"]) == 0, line
            help_text = capsys.readouterr().out
            for option in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert option in help_text, line
        elif "-m" in words and words[words.index("-m") + 1].split(".")[0] in ("gcseg_ros", "offline_training"):
            assert importlib.util.find_spec(words[words.index("-m") + 1]), line
        elif words[:1] and words[0].endswith("python") and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), line
        elif words[:2] == ["ros2", "launch"]:
            assert (ROOT / "launch" / words[3]).is_file(), line
        elif words[:3] == ["ros2", "run", "gcseg_ros"]:
            assert f'"{words[3]} = ' in (ROOT / "setup.py").read_text(), line


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if "://" not in target:
            file, _, heading = target.partition("#")
            page = document.parent / file if file else document
            assert page.exists(), target
            assert not heading or heading in headings(page.read_text()), target


def headings(text: str) -> set[str]:
    """Of a page in Markdown, as GitHub makes them part of an address."""
    found = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_every_benchmark_is_on_the_page_of_benchmarks():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert {file.name for file in (ROOT / "benchmarks").glob("*.py")} == set(re.findall(r"benchmarks/(\w+\.py)", page))


def test_no_machine_or_secret_in_the_tree():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    for name in listed.stdout.split():
        file = ROOT / name
        if (
            file.suffix in (".py", ".md", ".yaml", ".xml", ".toml", ".cfg")
            and file.is_file()
            and file != Path(__file__)
        ):
            assert not re.search(r"/(root|home)/\w|BEGIN [A-Z ]*PRIVATE KEY", file.read_text()), name


def copy_of_the_tree(to):
    skipped = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "out", "build", "install", "log", "test")
    shutil.copytree(ROOT, to, ignore=skipped)
    return to


@pytest.mark.skipif(importlib.util.find_spec("colcon_ros") is None, reason="colcon is not installed")
def test_colcon_builds_and_installs_for_ros2_run_and_launch(tmp_path):
    source = copy_of_the_tree(tmp_path / "ws" / "src" / "gcseg_ros")
    environment = {**CLEAN, "AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    built = subprocess.run(
        [sys.executable, "-m", "colcon", "build"], cwd=tmp_path / "ws", env=environment, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    prefix = tmp_path / "ws" / "install" / "gcseg_ros"
    share = prefix / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / "gcseg_ros").is_file()
    assert (share / "gcseg_ros" / "package.xml").is_file()
    for folder in ("launch", "config"):
        there = {p.name for p in (share / "gcseg_ros" / folder).iterdir()}
        assert there >= {p.name for p in (source / folder).iterdir() if p.suffix != ".pyc"}
    for executable in ("mapping_node", "replay_node", "gcseg"):
        file = prefix / "lib" / "gcseg_ros" / executable
        assert os.access(file, os.X_OK)
        assert file.read_text().startswith("#!/usr/bin/env python3"), "a venv on a robot needs its own Python"
    path = f"{Path(sys.executable).parent}:{CLEAN['PATH']}"
    shell = f". {tmp_path}/ws/install/setup.sh && cd / && {prefix}/lib/gcseg_ros/gcseg --version"
    shown = subprocess.run(["sh", "-c", shell], env={**environment, "PATH": path}, capture_output=True, text=True)
    assert shown.stdout == f"gcseg_ros {gcseg_ros.__version__}\n", shown.stderr


def test_a_wheel_holds_everything_that_runs(tmp_path):
    source = copy_of_the_tree(tmp_path / "source")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, source]
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    subprocess.run(command, check=True, capture_output=True, env=CLEAN)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(
        subprocess.run(
            [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    for package in ("gcseg_ros", "offline_training"):
        for file in (source / package).rglob("*"):
            assert file.is_dir() or str(file.relative_to(source)) in names
    share = f"gcseg_ros-{gcseg_ros.__version__}.data/data/share/gcseg_ros"
    for file in (*source.glob("config/*"), *source.glob("launch/*.py"), source / "package.xml"):
        assert f"{share}/{file.relative_to(source)}" in names


def test_old_setuptools_install_everything_that_runs():
    """Of Ubuntu 22.04, which colcon builds with there: in package_data ** is one folder for them."""
    words = (node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if isinstance(node, ast.keyword))
    patterns = next(ast.literal_eval(word.value) for word in words if word.arg == "package_data")
    for package, of_it in patterns.items():
        there = {str(file.relative_to(ROOT / package)) for file in (ROOT / package).rglob("*.*") if file.is_file()}
        data = {name for name in there if not name.endswith((".py", ".pyc", ".nbi", ".nbc"))}
        assert {name for pattern in of_it for name in glob(pattern, root_dir=ROOT / package)} == data


def test_a_source_distribution_holds_what_the_readme_names(tmp_path):
    source = copy_of_the_tree(tmp_path / "source")
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True, env=CLEAN)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        there = {name.partition("/")[2] for name in packed.getnames()}
    assert {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()} <= there

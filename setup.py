"""ament_python package: `colcon build` for ROS users, `pip install .[ros]` for everybody else."""

from glob import glob

from setuptools import find_packages, setup

NAME = "gcseg_ros"

ROS_WHEELS = [
    "ros-rclpy",
    "ros-rmw-fastrtps-cpp",
    "ros-rmw-implementation",
    "ros-sensor-msgs",
    "ros-geometry-msgs",
    "ros-nav-msgs",
    "ros-visualization-msgs",
    "ros-diagnostic-msgs",
    "ros-std-srvs",
    "ros-lifecycle-msgs",
    "ros-ament-index-python",
]
COLCON = ["colcon-core", "colcon-ros", "colcon-bash", "setuptools>=70.1,<80"]  # 70.1: builds wheels by itself
# what is found to be wrong must not change with the day: the tools, and the stubs that they read
LINT = ["ruff==0.17.6", "mypy==2.4.1", "types-PyYAML", "numpy<2.5"]
TEST = ["pytest>=8", "pytest-xdist", "hypothesis", "scikit-learn>=1.4", "lzfse>=0.4.2"]

setup(
    name=NAME,
    version="0.1.0",
    description="Class-agnostic 3D instance maps from posed RGB-D video, by granularity-consistent tracking of 2D masks.",
    author="gcseg_ros maintainers",
    author_email="gcseg-ros@googlegroups.com",
    license="Apache-2.0",
    classifiers=[
        "Operating System :: POSIX :: Linux",
        "Topic :: Scientific/Engineering :: Image Processing",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
    ],
    packages=find_packages(include=[f"{NAME}*", "offline_training*"]),
    package_data={  # without **, which setuptools before 62.3 (Ubuntu 22.04 has 59.6) takes for one folder
        "gcseg_ros": ["py.typed", "*/*.onnx", "*/*.npz", "*/*.pt", "*/*.yaml", "*/*.html"],
        "offline_training": ["config/*/*.yaml"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.py")),
        (f"share/{NAME}/config", glob("config/*")),
    ],
    python_requires=">=3.10",
    install_requires=[
        "setuptools",
        "numpy>=1.26",
        "scipy>=1.11",
        "numba>=0.59",
        "opencv-python-headless>=4.8",  # in 4.5.5 connectedComponentsWithStats ends the process (opencv/opencv#21366)
        "pydantic>=2.5",
        "pyyaml>=5.4",
        "typer>=0.12",
        "rich>=13",
        "rosbags>=0.11",
        "backports.zstd>=1.0; python_version < '3.14'",  # later Pythons bring it; rosbags does not before 0.11.7
        "onnxruntime>=1.17",
    ],
    extras_require={
        "ros": [f"{wheel}; python_version >= '3.11'" for wheel in ROS_WHEELS],
        "viewer": ["rerun-sdk>=0.20"],
        "record3d": ["lzfse>=0.4.2"],
        "baselines": ["scikit-learn>=1.3"],
        "segmentation": ["torch>=2.6"],
        "retrieval": ["open_clip_torch>=3.0", "torch>=2.6", "torchvision"],
        # sam2 builds against the installed torch: torch first, then SAM2_BUILD_CUDA=0 pip install --no-build-isolation
        "sam": ["torch>=2.6", "torchvision>=0.21", "segment-anything>=1.0", "sam2>=1.1"],
        "train": [
            "torch>=2.6",
            "onnx>=1.15",
            "lightning>=2.4",
            "tensorboard>=2.10",
            "scikit-learn>=1.4",  # max_features of HistGradientBoosting
            "joblib>=1.3",
        ],
        "ray": ["ray>=2.10"],
        "test": TEST,
        "dev": [
            *TEST,
            *COLCON,
            "torch==2.12.1",
            "torchvision==0.27.1",
            "segment-anything==1.0",
            "onnx>=1.15",
            "lightning>=2.4",
            "tensorboard>=2.10",
            "ray>=2.10",
            "open_clip_torch>=3.0",
            *LINT,
        ],
    },
    entry_points={
        "console_scripts": [
            "gcseg = gcseg_ros.cli:main",
            "mapping_node = gcseg_ros.nodes.mapping_node:main",
            "query_node = gcseg_ros.nodes.query_node:main",
            "replay_node = gcseg_ros.nodes.replay_node:main",
            "segmentation_node = gcseg_ros.nodes.segmentation_node:main",
        ]
    },
    zip_safe=False,
)

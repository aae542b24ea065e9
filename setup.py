"""Build of the compiled part; everything else stands in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["csrc/build_native.py:ffibuilder"],
    # One wheel serves every CPython from 3.11 on: cffi builds against the limited API.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)

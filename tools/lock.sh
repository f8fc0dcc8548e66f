#!/bin/sh
# Resolves requirements.in into requirements.lock. Arguments go to `uv pip compile` (--upgrade).
#
# One resolution for all supported Pythons (--universal), preferring one version for all of them
# (--fork-strategy fewest), so that numbers agree between machines; markers that say no more than what is
# supported anyway (CPython before 3.14, Linux, x86-64; see [tool.uv] in pyproject.toml) are dropped. torch's CUDA build names nvidia-*, cuda-* and
# triton; its CPU build does not. They are left out of the lock: where only the CUDA build is offered, pip adds
# them by itself, in exactly the versions that the torch wheel names.
set -eu
cd "$(dirname "$0")/.."
uv_version=0.13.9
tools=build/lock-tools
if ! "$tools/bin/uv" --version 2>/dev/null | grep -q "^uv $uv_version "; then
    .venv/bin/python -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet "uv==$uv_version"
fi
if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi
new=build/requirements.lock
cp requirements.lock "$new" 2>/dev/null || : > "$new"
"$tools/bin/uv" pip compile requirements.in --output-file "$new" --quiet \
    --universal --python-version 3.11 --fork-strategy fewest --no-header --no-annotate "$@"
{
    echo "# Made by \`make lock\` from requirements.in: do not edit."
    sed -E -e '/^(nvidia-|cuda-|triton)/d' -e "/implementation_name == 'pypy'/d" \
        -e "s/ and platform_machine == 'x86_64'//; s/ and sys_platform == 'linux'//" \
        -e "s/ and platform_python_implementation != 'PyPy'//; s/ ; python_full_version < '3.14'\$//" "$new"
} > "$new.tmp"
mv "$new.tmp" requirements.lock
rm -f "$new"
echo "requirements.lock: $(grep -c '==' requirements.lock) packages"

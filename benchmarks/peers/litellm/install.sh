#!/bin/sh
# install.sh DIR: the LiteLLM proxy from PyPI in a virtual environment below DIR.
set -eu
VERSION=1.108.7
DIR=${1:?usage: install.sh DIR}
STAMP="$DIR/.installed-$VERSION"
if [ -f "$STAMP" ]; then exit 0; fi
mkdir -p "$DIR"
[ -x "$DIR/venv/bin/pip" ] || python3 -m venv "$DIR/venv"
"$DIR/venv/bin/pip" install --quiet --disable-pip-version-check "litellm[proxy]==$VERSION"
touch "$STAMP"

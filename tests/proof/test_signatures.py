"""The functions of `docs/verify-signatures.md`, in the languages that Debian brings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.test_examples import snippet
from tests.acceptance.webhooks import forged, genuine
from tests.servers.debian import program
from tests.servers.unavailable import Unavailable

pytestmark = pytest.mark.xdist_group("signatures")

IN_GO = """
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"shop/webhooks"
)

func main() {
	var cases [][]json.RawMessage
	json.NewDecoder(os.Stdin).Decode(&cases)
	for _, one := range cases {
		var secret, body string
		var headers map[string]string
		json.Unmarshal(one[0], &secret)
		json.Unmarshal(one[1], &headers)
		json.Unmarshal(one[2], &body)
		header := http.Header{}
		for name, value := range headers {
			header.Set(name, value)
		}
		fmt.Println(webhooks.IsGenuine(secret, header, []byte(body)))
	}
}
"""
IN_PHP = """
foreach (json_decode(stream_get_contents(STDIN), true) as [$secret, $headers, $body]) {
    echo json_encode(is_genuine($secret, $headers, $body)), "\\n";
}
"""
IN_RUBY = """
require "json"
JSON.parse(STDIN.read).each do |secret, headers, body|
  puts genuine?(secret, headers, body)
end
"""


def language(name: str, *, package: str) -> str:
    try:
        return program(name, package=package)
    except Unavailable as why:
        pytest.skip(str(why))


def assert_it_tells_them_apart(command: list[str], folder: Path) -> None:
    cases = [*genuine(), *forged()]

    completed = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "GOCACHE": str(folder / "cache"), "GOFLAGS": "-mod=mod"},
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.returncode == 0, completed.stderr
    verdicts = [json.loads(line) for line in completed.stdout.splitlines()]
    assert verdicts == [True] * len(genuine()) + [False] * len(forged())


def test_go_tells_the_genuine_from_the_forged(tmp_path: Path) -> None:
    go = language("go", package="golang-go")
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "webhooks.go").write_text(snippet("go"))
    (tmp_path / "main.go").write_text(IN_GO)
    (tmp_path / "go.mod").write_text("module shop\n\ngo 1.19\n")

    assert_it_tells_them_apart([go, "run", "."], tmp_path)


def test_php_tells_the_genuine_from_the_forged(tmp_path: Path) -> None:
    php = language("php", package="php-cli")
    (tmp_path / "verify.php").write_text(snippet("php") + IN_PHP)

    assert_it_tells_them_apart([php, "verify.php"], tmp_path)


def test_ruby_tells_the_genuine_from_the_forged(tmp_path: Path) -> None:
    ruby = language("ruby", package="ruby")
    (tmp_path / "verify.rb").write_text(snippet("ruby") + IN_RUBY)

    assert_it_tells_them_apart([ruby, "verify.rb"], tmp_path)

"""What is found out about a project from its own files."""

import pytest

from capseal.project.discovery import WebApp, find_web_app

TYPESCRIPT = """
import type { CapacitorConfig } from '@capacitor/cli';
// appId: 'com.example.commented',
/* appId: 'com.example.too',
   webDir: 'old' */
const config: CapacitorConfig = {
  appId: "com.example.game",
  webDir: `web/dist`,
  server: { url: 'https://example.com//path' },
};
export default config;
"""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, WebApp()),
        (
            {
                "capacitor.config.json": '{"appId": "com.example.game", "webDir": "www"}',
                "package.json": '{"name": "x"}',
            },
            WebApp("com.example.game", "www", "capacitor.config.json"),
        ),
        ({"capacitor.config.ts": TYPESCRIPT}, WebApp("com.example.game", "web/dist", "capacitor.config.ts")),
        ({"package.json": '{"name": "@scope/game"}'}, WebApp("scope.game", None, "package.json")),
        ({"package.json": '{"name": "game"}', "dist/index.html": ""}, WebApp("game", "dist", "package.json")),
        ({"www/index.html": "", "public/index.html": ""}, WebApp(None, "www")),
        ({"dist/readme": ""}, WebApp()),
        (
            {"capacitor.config.json": '\ufeff{"appId": "com.example.game",\r\n"webDir": "www"}'},
            WebApp("com.example.game", "www", "capacitor.config.json"),
        ),
        ({"capacitor.config.json": "{", "package.json": '{"name": "game"}'}, WebApp("game", None, "package.json")),
        ({"capacitor.config.json": '{"appId": 7, "webDir": "../out"}', "package.json": "[]"}, WebApp()),
        ({"capacitor.config.ts": "appId: process.env.APP, webDir: `${out}`"}, WebApp()),
        ({"capacitor.config.json": '{"appId": "no spaces please", "webDir": "/abs"}'}, WebApp()),
    ],
)
def test_app_id_and_web_folder_are_found_out(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert find_web_app(str(tmp_path)) == expected

#!/usr/bin/env bash
# Takes the pictures of the README again, from the pages as the browser tests see them.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo test --locked -p portcullis-interop --all-features --test browser people_log_in_by_password
cargo test --locked -p portcullis-interop --all-features --test hub_server in_a_browser
from=$(cargo metadata --locked --no-deps --format-version 1 | node -e '
    console.log(JSON.parse(require("fs").readFileSync(0, "utf8")).target_directory)')/tmp
to=examples/pictures
cp "$from/login-root/login-light.png" "$to/login.png"
cp "$from/login-root/home-light.png" "$to/logged-in.png"
cp "$from/login-root/login-phone-dark.png" "$to/login-phone-dark.png"
cp "$from/mini_hub/question.png" "$to/hub-question.png"
cp "$from/mini_hub/home.png" "$to/hub-home.png"
cp "$from/mini_hub/home-phone.png" "$to/hub-home-phone.png"

//! The public API of the crate, as its documentation shows it, compared with a committed snapshot: a change of it is
//! seen. Each release of Rust shows it a little differently, so it is compared by the release that the snapshot names.
//! `PORTCULLIS_UPDATE_API=1 cargo test -p portcullis-interop --test public_api` writes the snapshot again.

use std::{fs, path::Path, process::Command};

/// The text of `html` between each `open` and the next `close`, without tags and with one space for any white space.
fn texts(html: &str, open: &str, close: &str) -> Vec<String> {
    let pieces = html.split(open).skip(1);
    let texts = pieces.filter_map(|piece| Some(plain(piece.split_once(close)?.0)));
    texts.collect()
}

fn plain(html: &str) -> String {
    // What unfolds is a control of the page, not of the item.
    let folded = html
        .split("<summary")
        .enumerate()
        .map(|(place, piece)| match place {
            0 => piece,
            _ => piece.split_once("</summary>").map_or("", |(_, rest)| rest),
        });
    let mut text = String::new();
    for piece in folded.collect::<String>().split('<') {
        text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    for (escape, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
        ("\u{a0}", " "),
    ] {
        text = text.replace(escape, character);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line for each public item, and one for each of its methods.
fn public_api(docs: &Path) -> Vec<String> {
    let all = fs::read_to_string(docs.join("all.html")).expect("the list of all items");
    let mut lines = Vec::new();
    for piece in all.split("<li><a href=\"").skip(1) {
        let (target, _) = piece.split_once('"').expect("the end of a link");
        // The side bar leads to places on the page itself.
        if target.starts_with('#') {
            continue;
        }
        let page = fs::read_to_string(docs.join(target)).expect("the page of an item");
        let page = page
            .split("id=\"trait-implementations\"")
            .next()
            .unwrap_or_default();
        let item = target.trim_end_matches(".html").replace('/', "::");
        let declared = texts(page, "<pre class=\"rust item-decl\"><code>", "</code></pre>");
        lines.push(format!("{item}: {}", declared.join(" ")));
        for method in texts(page, "<h4 class=\"code-header\">", "</h4>") {
            lines.push(format!("{item}: {method}"));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn public_api_is_the_one_in_the_snapshot() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new(env!("CARGO"))
        .args([
            "doc",
            "--locked",
            "--no-deps",
            "--all-features",
            "--package",
            "portcullis",
            "--lib",
            "--quiet",
        ])
        .current_dir(&package)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the documentation is built");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| package.join("target"), Into::into);
    let found = public_api(&target.join("doc/portcullis"));
    assert!(found.len() > 500, "{} lines", found.len());

    let rust = Command::new("rustc")
        .arg("--version")
        .output()
        .expect("rustc runs")
        .stdout;
    let rust = String::from_utf8(rust).expect("rustc speaks UTF-8");
    let rust = rust.rsplit_once('.').map_or(&*rust, |(release, _)| release);
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("public-api.txt");
    if std::env::var_os("PORTCULLIS_UPDATE_API").is_some() {
        fs::write(&snapshot, format!("{rust}\n{}\n", found.join("\n"))).expect("the snapshot is written");
    }
    let expected = fs::read_to_string(&snapshot).expect("the snapshot");
    let (made_by, expected) = expected.split_once('\n').expect("a line that names the release");
    if made_by != rust {
        println!("not compared: the snapshot is of {made_by}, this is {rust}");
        return;
    }
    let expected: Vec<&str> = expected.lines().collect();
    let gone: Vec<_> = expected
        .iter()
        .filter(|line| !found.iter().any(|found| found == *line))
        .collect();
    let new: Vec<_> = found
        .iter()
        .filter(|line| !expected.contains(&line.as_str()))
        .collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "the public API is not the one in tests/interop/public-api.txt; if that is meant, write it anew with \
         PORTCULLIS_UPDATE_API=1\ngone: {gone:#?}\nnew: {new:#?}"
    );
}

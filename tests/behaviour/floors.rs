//! Imports point down: the plan of the house in the architecture chapter, held against the sources.

use std::{fs, path::Path};

/// The rooms of each floor, from the ground up.
const FLOORS: [&str; 6] = [
    "secret random deadline digest time changing fields head answer error denial event peer base_url next_url percent query identity scopes grant \
     session token password challenge page cookie tracing",
    "source store hashing",
    "authenticate verify authorize",
    "guard gate",
    "login logout launch password_change jupyter oauth hub provider",
    "layer axum grpc testing",
];

/// Imports on one floor: a room, and those it may import.
const BESIDE: [(&str, &str); 20] = [
    ("authenticate", "verify"),
    ("base_url", "error percent"),
    ("challenge", "denial error"),
    ("cookie", "denial digest error fields head random secret time"),
    ("error", "secret"),
    ("event", "denial identity"),
    ("gate", "guard"),
    ("grant", "identity scopes time"),
    ("hub", "oauth"),
    ("head", "fields time"),
    ("identity", "random"),
    ("next_url", "base_url peer percent query"),
    ("query", "denial percent token"),
    ("session", "denial grant identity token"),
    ("password", "error random secret"),
    ("password_change", "login"),
    ("provider", "oauth"),
    ("testing", "layer"),
    ("token", "digest random secret"),
    ("tracing", "event"),
];

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.split_whitespace().any(|named| named == room))
        .unwrap_or_else(|| panic!("room {room} stands on no floor of the plan"))
}

fn beside(room: &str) -> impl Iterator<Item = &'static str> {
    BESIDE
        .iter()
        .filter(move |(name, _)| *name == room)
        .flat_map(|(_, rooms)| rooms.split_whitespace())
}

/// The rooms that `text` imports: first segments of `use crate::…`, nested braces included.
fn imports(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for statement in text.split("use crate::").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        match statement.strip_prefix('{') {
            None => rooms.push(first_segment(statement)),
            Some(list) => {
                let (mut depth, mut start) = (0_i32, 0);
                for (place, character) in list.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth > 0 => depth -= 1,
                        ',' | '}' if depth == 0 => {
                            rooms.push(first_segment(&list[start..place]));
                            start = place + 1;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn first_segment(path: &str) -> String {
    path.trim()
        .chars()
        .take_while(|&character| character.is_alphanumeric() || character == '_')
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder)
        .expect("the sources can be read")
        .filter_map(Result::ok)
    {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_import_points_down_or_to_a_named_neighbour() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file
            .strip_prefix(&root)
            .expect("below src")
            .to_string_lossy()
            .into_owned();
        let room = first_segment(&inside);
        if room == "lib" || room == "manual" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source is text");
        // Tests at the foot of a file may look anywhere.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for imported in imports(text).into_iter().filter(|imported| *imported != room) {
            if floor(&imported) >= floor(&room) && !beside(&room).any(|neighbour| neighbour == imported) {
                wrong.push(format!("src/{inside} imports {imported}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that do not point down:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_reader_of_imports_sees_nested_ones() {
    let text =
        "use crate::head::Head;\nuse crate::{\n    answer::{Answer, BoxFuture},\n    time::Clock,\n};\n";
    assert_eq!(imports(text), ["head", "answer", "time"]);
}

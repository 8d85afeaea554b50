//! The manual names a test for each claim, and that test exists.

use std::{fs, path::Path};

fn read(folder: &Path, text: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("sources").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            read(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.to_string_lossy().into_owned();
            text.push((name, fs::read_to_string(&path).expect("a source is text")));
        }
    }
}

/// Whether `named` is a test, by its modules and its function, or a module that holds tests.
fn exists(sources: &[(String, String)], named: &str) -> bool {
    let segments: Vec<&str> = named.split("::").filter(|segment| *segment != "tests").collect();
    let Some((function, modules)) = segments.split_last() else {
        return false;
    };
    let is_module = |path: &str, module: &str| {
        path.ends_with(&format!("/{module}.rs")) || path.contains(&format!("/{module}/"))
    };
    let all_in = |path: &str, modules: &[&str]| modules.iter().all(|module| is_module(path, module));
    sources.iter().any(|(path, text)| {
        (all_in(path, modules) && text.contains(&format!("fn {function}(")))
            || (all_in(path, &segments) && text.contains("#[test]"))
    })
}

#[test]
fn every_test_that_the_table_of_threats_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read(&root.join("src"), &mut sources);
    read(&root.join("tests/behaviour"), &mut sources);
    read(&root.join("tests/interop/tests"), &mut sources);
    let chapter = fs::read_to_string(root.join("src/manual/threats.md")).expect("the chapter");
    let table = chapter
        .split("| id | requirement | test |")
        .nth(1)
        .expect("the table");
    let mut rows = 0;
    for row in table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('-'))
    {
        let tests = row.rsplit('|').nth(1).expect("a cell of tests");
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for test in named {
            assert!(exists(&sources, test), "no such test: {test}");
        }
        rows += 1;
    }
    assert!(rows > 40, "{rows} rows");
    assert!(
        !exists(&sources, "guard::host::no_such_test"),
        "the search can fail"
    );
}

#[test]
fn each_fault_has_a_row_and_every_test_that_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read(&root.join("src"), &mut sources);
    read(&root.join("tests"), &mut sources);
    let chapter = fs::read_to_string(root.join("src/manual/threats.md")).expect("the chapter");
    for number in 1..=25 {
        let start = format!("| F-{number} | ");
        let mut rows = chapter.lines().filter(|line| line.starts_with(&start));
        let cells: Vec<&str> = rows.next().expect(&start).split('|').collect();
        assert!(rows.next().is_none(), "two rows: {start}");
        let named = cells[3].split('`').skip(1).step_by(2);
        for test in named.filter(|name| name.contains("::")) {
            assert!(exists(&sources, test), "no such test: {test}");
        }
        let shown = cells[3].contains('`');
        assert!(
            shown || !cells[4].trim().is_empty(),
            "neither shown nor said to be missing: {start}"
        );
    }
}

#[test]
fn every_test_in_the_chapter_on_tested_software_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read(&root.join("tests/interop/tests"), &mut sources);
    let chapter = fs::read_to_string(root.join("src/manual/compatibility.md")).expect("the chapter");
    let rows: Vec<&str> = chapter
        .lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| test |"))
        .collect();
    for row in &rows {
        let tests = row.rsplit('|').nth(1).expect("a cell of tests");
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for test in named {
            assert!(exists(&sources, test), "no such test: {test}");
        }
    }
    assert!(rows.len() > 30, "{} rows", rows.len());
}

#[test]
fn first_program_of_readme_and_crate_page_is_the_example_quickstart() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let example = file("examples/quickstart.rs");
    let (_, program) = example.split_once("\n\n").expect("a comment and a program");
    assert!(file("README.md").contains(&format!("```rust,no_run\n{program}```")));
    let page: String = program
        .lines()
        .map(|line| format!("//! {line}").trim_end().to_owned() + "\n")
        .collect();
    assert!(file("src/lib.rs").contains(&format!("//! ```no_run\n{page}//! ```")));
}

#[test]
fn every_example_is_in_the_list_of_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let list = fs::read_to_string(examples.join("README.md")).expect("the list");
    for entry in fs::read_dir(&examples).expect("examples").filter_map(Result::ok) {
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        if path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists() {
            assert!(list.contains(&format!("| `{name}`")), "not in the list: {name}");
        }
    }
}

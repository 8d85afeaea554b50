//! The source files as tokens: what each imports, and the file that defines it.
//!
//! Test modules are left out. A name leads through `use` and `pub use` to the file that defines it; globs are not
//! followed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The path of a module, or of an item in one, from the root of the crate.
type Names = Vec<String>;

/// What was read in one file.
#[derive(Default)]
pub(super) struct File {
    /// Below `src`, such as `layer/mod.rs`.
    pub(super) name: String,
    module: Names,
    uses: Vec<Use>,
    /// Paths outside of `use`, as written, each with the module it is written in.
    paths: Vec<(Names, Names)>,
    /// Every name outside of `use`.
    mentioned: BTreeSet<String>,
    /// The names of types that are `pub`, and no less.
    pub(super) public_types: Vec<String>,
    /// Inlining that is forced or forbidden.
    pub(super) inlining: BTreeSet<String>,
    /// Modules of tests that have a file of their own.
    tests: Vec<Names>,
}

/// One name that a `use` brings in.
struct Use {
    /// The module it is written in.
    module: Names,
    path: Names,
    /// Nothing for `as _` and for a glob.
    name: Option<String>,
    is_public: bool,
}

/// A file that imports another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether the name is passed on, and not used here.
    pub(super) is_passed_on: bool,
}

pub(super) struct Sources {
    pub(super) files: Vec<File>,
    modules: BTreeMap<Names, usize>,
    /// What a `use` calls by another path, by module and name.
    bindings: BTreeMap<(Names, String), Names>,
}

impl Sources {
    /// All below `root`.
    pub(super) fn below(root: &Path) -> Self {
        let mut texts = Vec::new();
        collect(root, root, &mut texts);
        Self::of(texts)
    }

    /// Files by name and text.
    pub(super) fn of(texts: impl IntoIterator<Item = (impl Into<String>, impl AsRef<str>)>) -> Self {
        let read = texts
            .into_iter()
            .map(|(name, text)| File::read(name.into(), text.as_ref()));
        let mut files: Vec<File> = read.collect();
        let tests: Vec<Names> = files.iter().flat_map(|file| file.tests.clone()).collect();
        files.retain(|file| !tests.iter().any(|test| file.module.starts_with(test)));
        files.sort_by(|one, other| one.name.cmp(&other.name));
        let modules = files.iter().enumerate();
        let modules = modules
            .map(|(index, file)| (file.module.clone(), index))
            .collect();
        let mut sources = Self {
            files,
            modules,
            bindings: BTreeMap::new(),
        };
        let mut bindings = BTreeMap::new();
        for brought in sources.files.iter().flat_map(|file| &file.uses) {
            if let (Some(name), Some(path)) =
                (&brought.name, sources.absolute(&brought.module, &brought.path))
            {
                bindings.insert((brought.module.clone(), name.clone()), path);
            }
        }
        sources.bindings = bindings;
        sources
    }

    /// All imports of one file by another, without those by the root of the crate and of it.
    pub(super) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (from, file) in self.files.iter().enumerate() {
            let uses = file.uses.iter().map(|brought| {
                let name = brought.name.as_ref();
                let is_used = name.is_some_and(|name| file.mentioned.contains(name));
                (&brought.module, &brought.path, brought.is_public && !is_used)
            });
            let paths = file.paths.iter().map(|(module, path)| (module, path, false));
            for (module, path, is_passed_on) in uses.chain(paths) {
                let to = self
                    .absolute(module, path)
                    .and_then(|path| self.defining_file(&path, 0));
                if let Some(to) = to
                    && to != from
                    && ![from, to]
                        .iter()
                        .any(|index| self.files[*index].module.is_empty())
                {
                    imports.insert(Import {
                        from,
                        to,
                        is_passed_on,
                    });
                }
            }
        }
        imports
    }

    /// `path` as written in `module`, from the root; nothing if it does not lead into this crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => {
                let above = module.split_last()?.1;
                return match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(above, rest),
                    _ => Some([above, rest].concat()),
                };
            }
            _ if self.modules.contains_key(&[module, &path[..1]].concat()) => [module, &path[..1]].concat(),
            _ => self.bindings.get(&(module.to_vec(), first.clone()))?.clone(),
        };
        Some([&start, rest].concat())
    }

    /// The file that defines what `path`, from the root, names.
    fn defining_file(&self, path: &[String], depth: usize) -> Option<usize> {
        let mut module = Vec::new();
        for (place, name) in path.iter().enumerate() {
            let below = [module.as_slice(), std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&below) {
                module = below;
                continue;
            }
            if let Some(bound) = self.bindings.get(&(module.clone(), name.clone()))
                && depth < 16
            {
                return self.defining_file(&[bound, &path[place + 1..]].concat(), depth + 1);
            }
            break;
        }
        self.modules.get(&module).copied()
    }
}

impl File {
    fn read(name: String, text: &str) -> Self {
        let mut module: Names = name
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("src/{name} cannot be read: {error}"));
        let mut file = Self {
            name,
            module: module.clone(),
            ..Self::default()
        };
        file.walk(&module, tokens);
        file
    }

    fn walk(&mut self, module: &[String], tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut place = 0;
        while let Some(token) = tokens.get(place) {
            let next = place + 1;
            place = match token {
                TokenTree::Punct(punct)
                    if punct.as_char() == '#' && inside(tokens.get(next)) == "cfg(test)" =>
                {
                    self.pass_test(module, &tokens, next + 1)
                }
                TokenTree::Group(group) => {
                    self.walk(module, group.stream());
                    next
                }
                TokenTree::Ident(ident) if ident == "use" && text(tokens.get(next)) != "<" => {
                    let end = next
                        + tokens[next..]
                            .iter()
                            .take_while(|token| text(Some(token)) != ";")
                            .count();
                    let is_public = is_public(&tokens[..place]);
                    self.read_use(module, &[], is_public, &tokens[next..end]);
                    end
                }
                TokenTree::Ident(ident) if ident == "mod" => match (tokens.get(next), tokens.get(next + 1)) {
                    (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) => {
                        self.walk(&[module, &[name.to_string()]].concat(), body.stream());
                        next + 2
                    }
                    _ => next,
                },
                TokenTree::Ident(ident) => {
                    let is_first = !ends_in_colons(&tokens[..place]);
                    let name = ident.to_string();
                    if name == "inline"
                        && let how @ ("always" | "never") = inside(tokens.get(next)).as_str()
                    {
                        self.inlining.insert(format!("inline({how})"));
                    }
                    if matches!(name.as_str(), "struct" | "enum" | "trait" | "type")
                        && place > 0
                        && text(tokens.get(place - 1)) == "pub"
                    {
                        self.public_types.push(text(tokens.get(next)));
                    }
                    self.mentioned.insert(name);
                    if is_first {
                        let path = path_at(&tokens[place..]);
                        if path.len() > 1 {
                            self.paths.push((module.to_vec(), path));
                        }
                    }
                    next
                }
                _ => next,
            };
        }
    }

    /// Where the item that is for tests alone, and begins at `place`, ends.
    fn pass_test(&mut self, module: &[String], tokens: &[TokenTree], place: usize) -> usize {
        if let [
            TokenTree::Ident(keyword),
            TokenTree::Ident(name),
            TokenTree::Punct(_),
            ..,
        ] = &tokens[place..]
            && keyword == "mod"
        {
            self.tests.push([module, &[name.to_string()]].concat());
        }
        let ends = |token: &TokenTree| {
            matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                || text(Some(token)) == ";"
        };
        place + 1 + tokens[place..].iter().take_while(|token| !ends(token)).count()
    }

    /// Reads what stands between `use` and `;`, behind `above`.
    fn read_use(&mut self, module: &[String], above: &[String], is_public: bool, tokens: &[TokenTree]) {
        let mut path = above.to_vec();
        path.extend(path_at(tokens));
        match tokens.last() {
            Some(TokenTree::Group(group)) => self.read_list(module, &path, is_public, group),
            Some(last) => {
                if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                let last = text(Some(last));
                let name = match last.as_str() {
                    "*" | "_" => None,
                    "self" => path.last().cloned(),
                    _ => Some(last),
                };
                self.uses.push(Use {
                    module: module.to_vec(),
                    path,
                    name,
                    is_public,
                });
            }
            None => {}
        }
    }

    fn read_list(&mut self, module: &[String], path: &[String], is_public: bool, list: &Group) {
        let tokens: Vec<TokenTree> = list.stream().into_iter().collect();
        for part in tokens.split(|token| text(Some(token)) == ",") {
            self.read_use(module, path, is_public, part);
        }
    }

    /// Whether a function of this path is named in the file.
    pub(super) fn names(&self, function: &[&str]) -> bool {
        let uses = self.uses.iter().map(|brought| &brought.path);
        let mut paths = uses.chain(self.paths.iter().map(|(_, path)| path));
        paths.any(|path| path.ends_with(&function.iter().map(|&name| name.to_owned()).collect::<Names>()))
    }

    /// The first part of the path of its module.
    pub(super) fn module(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

/// The names at the start of `tokens` that `::` joins.
fn path_at(tokens: &[TokenTree]) -> Names {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(name), behind @ ..] = rest {
        path.push(name.to_string());
        match behind {
            [TokenTree::Punct(one), TokenTree::Punct(other), behind @ ..]
                if one.as_char() == ':' && other.as_char() == ':' =>
            {
                rest = behind;
            }
            _ => break,
        }
    }
    path
}

fn ends_in_colons(tokens: &[TokenTree]) -> bool {
    let colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    matches!(tokens, [.., one, other] if colon(one) && colon(other))
}

/// Whether `pub`, with or without where to, stands at the end of `tokens`.
fn is_public(tokens: &[TokenTree]) -> bool {
    match tokens {
        [.., TokenTree::Ident(public), TokenTree::Group(_)] | [.., TokenTree::Ident(public)] => {
            public == "pub"
        }
        _ => false,
    }
}

/// The text of a token that is no group.
fn text(token: Option<&TokenTree>) -> String {
    match token {
        Some(TokenTree::Group(_)) | None => String::new(),
        Some(token) => token.to_string(),
    }
}

/// The text in a group, without spaces.
fn inside(token: Option<&TokenTree>) -> String {
    match token {
        Some(TokenTree::Group(group)) => group.stream().to_string().replace(char::is_whitespace, ""),
        _ => String::new(),
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below src").to_string_lossy();
            let text = fs::read_to_string(&path).expect("a source is text");
            texts.push((name.into_owned(), text));
        }
    }
}

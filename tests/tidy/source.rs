//! The Rust files of the workspace, with a view of their code alone.
//!
//! Rules look for words, and a word inside a comment or a text is no breach. [`code`] therefore blanks comments, text
//! and character literals and keeps every line break, so that a place found in it is the place in the file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::root;

/// One file.
pub(crate) struct Source {
    /// Its path below the root, with `/` between the parts.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// The same with comments and literals blanked.
    pub(crate) code: String,
}

impl Source {
    /// Reads the file at `path`, which lies below the root.
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a listed source file is readable UTF-8");
        let path = path
            .strip_prefix(root())
            .expect("only files below the root are listed");
        Self {
            path: path.to_string_lossy().replace('\\', "/"),
            code: code(&text),
            text,
        }
    }

    /// Whether the whole file is there for tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self
            .path
            .rsplit('/')
            .next()
            .expect("a path has a last part");
        self.path
            .split('/')
            .any(|part| matches!(part, "tests" | "benches" | "contract"))
            || matches!(name, "tests.rs" | "contract.rs")
            || name.ends_with("_tests.rs")
    }

    /// The code that is compiled into the product: without `#[cfg(test)]` items that carry a body in this file.
    pub(crate) fn product(&self) -> String {
        if self.is_test() {
            String::new()
        } else {
            without_test_items(&self.code)
        }
    }

    /// The path and line of an offset into the text or the code.
    pub(crate) fn place(&self, offset: usize) -> String {
        format!(
            "{}:{}",
            self.path,
            self.code[..offset].matches('\n').count() + 1
        )
    }
}

/// Every Rust file of the crates, the migrations and the test programs, in the order of their paths.
pub(crate) fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["crates", "migrations", "tests"] {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace is readable") {
        let path = entry.expect("a folder of the workspace is readable").path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The offsets at which `word` stands as a whole identifier.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(part) && !code[at + word.len()..].starts_with(part))
        .collect()
}

/// `text` with the inside of comments and literals replaced by blanks of the same length in bytes.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal(rest, out.chars().next_back());
        let length = if skipped == 0 {
            first.len_utf8()
        } else {
            skipped
        };
        let (piece, after) = rest.split_at(length);
        if skipped == 0 {
            out.push_str(piece);
        } else {
            out.push_str(&blank(piece));
        }
        rest = after;
    }
    out
}

/// As many blanks as `piece` has bytes, its line breaks kept.
fn blank(piece: &str) -> String {
    piece
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

/// The length of the comment or literal that `rest` begins with, or 0.
fn literal(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = rest
        .strip_prefix("br")
        .or(rest.strip_prefix('r'))
        .filter(|_| !in_word)
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let opening = rest.len() - raw.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            return rest[opening..]
                .find(&close)
                .map_or(rest.len(), |at| opening + at + close.len());
        }
    }
    match rest.chars().next() {
        Some('"') => quoted(rest, '"'),
        Some('\'') if is_character(rest) => quoted(rest, '\''),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..rest.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// Tells `'a'` from the lifetime `'a`.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

fn without_test_items(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let body = out[start..]
            .find(['{', ';'])
            .map_or(out.len(), |at| start + at);
        let mut depth = 0_usize;
        let end = out[body..].char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(body + at + 1)
        });
        let item = start..end.unwrap_or(out.len());
        let blanked = blank(&out[item.clone()]);
        out.replace_range(item, &blanked);
    }
    out
}

#[test]
fn code_keeps_its_place_when_comments_and_literals_are_blanked() {
    check("let a = \"Arc\"; Arc", "let a =      ; Arc");
    check("'\"' Arc '\\'' 'x", "    Arc      'x");
    check(
        "/* Arc /* Arc */ */ Arc // Arc\nArc",
        "                    Arc       \nArc",
    );
    check(
        "r#\"a\"Arc\"# br\"\\\" Arc",
        "                      Arc".trim_start_matches(' '),
    );

    fn check(text: &str, expected: &str) {
        let code = code(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.trim_start(), expected.trim_start());
    }
}

#[test]
fn code_behind_cfg_test_is_no_product() {
    let product = without_test_items(
        "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { x } }\nfn c() {}\n#[cfg(test)] mod tests;",
    );
    assert!(product.contains("fn a") && product.contains("fn c"));
    assert!(!product.contains("fn b") && !product.contains("mod tests"));
}

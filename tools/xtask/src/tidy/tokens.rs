//! Rust source as a flat list of words with their lines; comments and the contents of strings are gone.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A word, a sign or a bracket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Whether `#[cfg(test)]` items are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    Kept,
    Dropped,
}

/// The tokens of `source`; the error says where it is not Rust.
pub(crate) fn tokens(source: &str, tests: Tests) -> Result<Vec<Token>, (usize, String)> {
    let stream: TokenStream = source
        .parse()
        .map_err(|error: proc_macro2::LexError| (error.span().start().line, error.to_string()))?;
    let mut out = Vec::new();
    flatten(stream, tests, &mut out);
    Ok(out)
}

/// Where `words` occur one after another.
pub(crate) fn occurrences<'a>(tokens: &'a [Token], words: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
    tokens
        .windows(words.len())
        .enumerate()
        .filter(move |(_, window)| window.iter().zip(words).all(|(token, word)| token.text == *word))
        .map(|(index, _)| index)
}

fn flatten(stream: TokenStream, tests: Tests, out: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                if tests == Tests::Dropped && is_cfg_test(&group.stream(), group.delimiter(), out.last()) {
                    out.pop();
                    drop_item(&mut trees);
                    continue;
                }
                let (open, close) = brackets(group.delimiter());
                out.push(Token { text: open.into(), line });
                let end = group.span_close().start().line;
                flatten(group.stream(), tests, out);
                out.push(Token { text: close.into(), line: end });
            }
            TokenTree::Literal(_) => out.push(Token { text: "literal".into(), line }),
            TokenTree::Ident(word) => out.push(Token { text: word.to_string(), line }),
            TokenTree::Punct(sign) => out.push(Token { text: sign.as_char().to_string(), line }),
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// Whether the group is the brackets of `#[cfg(test)]`; an inner `#![cfg(test)]` has a `!` before it and is another thing.
fn is_cfg_test(stream: &TokenStream, delimiter: Delimiter, before: Option<&Token>) -> bool {
    delimiter == Delimiter::Bracket
        && before.is_some_and(|token| token.text == "#")
        && stream.to_string().replace(' ', "") == "cfg(test)"
}

/// Drops the item after an attribute: up to its braces or its semicolon, whichever is first.
fn drop_item(trees: &mut impl Iterator<Item = TokenTree>) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(sign) if sign.as_char() == ';' => return,
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str, tests: Tests) -> String {
        let words: Vec<String> = tokens(source, tests).unwrap().into_iter().map(|token| token.text).collect();
        words.join(" ")
    }

    #[test]
    fn comments_and_strings_are_no_words() {
        assert_eq!(text("let a = \"std::fs\"; // std", Tests::Kept), "let a = literal ;");
    }

    #[test]
    fn test_items_are_dropped_up_to_their_end() {
        let source =
            "fn a() {}\n#[cfg(test)]\nmod tests { use std::fs; }\n#[cfg(test)]\nextern crate std;\nfn b() {}";
        assert_eq!(text(source, Tests::Dropped), "fn a ( ) { } fn b ( ) { }");
        assert!(text(source, Tests::Kept).contains("std"));
    }

    #[test]
    fn lines_are_those_of_the_source() {
        let tokens = tokens("fn a() {\n    b();\n}\n", Tests::Kept).unwrap();
        let line = |word: &str| tokens.iter().find(|token| token.text == word).unwrap().line;
        assert_eq!([line("a"), line("b"), line("}")], [1, 2, 3]);
    }
}

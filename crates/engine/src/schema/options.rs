//! Table options and partitions of a rewritten CREATE TABLE.

use std::ops::Range;

use crate::schema::create::split_list;
use crate::schema::rewrite::{Engine, Rewriter};
use crate::sql::lexer::TokenKind;
use godwit_model::error::Result;
use godwit_model::names::TableName;
use godwit_model::names::{quote_identifier, quote_qualified};

/// Edits what stands after the column list: engine, places on disk, partition expressions.
pub(super) fn rewrite(table: &mut Rewriter) -> Result<()> {
    let end = table.create.options.end;
    let mut at = table.create.options.start;
    // Of the engine that the table comes from, and of the rows' format, where InnoDB will not have them.
    let (mut other_engine, mut other_format) = (false, false);
    let to_innodb = matches!(&table.rules.engine, Engine::Named(engine) if engine.eq_ignore_ascii_case("InnoDB"));
    while at < end {
        let word = |offset: usize, words: &[&str]| table.create.any_word(at + offset, words);
        if word(0, &["DATA", "INDEX"]) && word(1, &["DIRECTORY"]) {
            at = drop_option(table, at, 2, ONE_SERVER);
        } else if word(0, &["TABLESPACE", "SECONDARY_ENGINE"]) {
            at = drop_option(table, at, 1, ONE_SERVER);
        } else if word(0, &["ENGINE"]) {
            let value = value_of(table, at + 1);
            other_engine = !table.create.any_word(value, &["InnoDB"]);
            if let Engine::Named(engine) = &table.rules.engine {
                table.edits.replace(table.create.bytes(&(value..value + 1)), engine.clone());
            }
            at = value + 1;
        } else if to_innodb && word(0, &["ROW_FORMAT"]) {
            let value = value_of(table, at + 1);
            other_format = !table.create.any_word(value, &["COMPRESSED"]);
            at = match other_engine || !table.create.any_word(value, INNODB_FORMATS) {
                true => drop_option(table, at, 1, NOT_INNODB),
                false => value + 1,
            };
        } else if to_innodb && word(0, &["KEY_BLOCK_SIZE"]) {
            let value = value_of(table, at + 1);
            let size = table.create.tokens.get(value).map(|token| token.bytes(table.create.sql.as_bytes()));
            at = match other_engine || other_format || !size.is_some_and(|size| INNODB_BLOCKS.contains(&size)) {
                true => drop_option(table, at, 1, NOT_INNODB),
                false => value + 1,
            };
        } else if word(0, &["UNION"]) {
            at = merge_tables(table, at);
        } else if word(0, &["PARTITION", "SUBPARTITION"]) && word(1, &["BY"]) {
            at = partition_expression(table, at + 2)?;
        } else {
            at += 1;
        }
    }
    Ok(())
}

const ONE_SERVER: &str = "places and secondary engines belong to one server";

/// Strict InnoDB, where definitions are taken as they are or refused, refuses these of other engines; without it they mean nothing to it.
const NOT_INNODB: &str = "it means nothing to InnoDB";
const INNODB_FORMATS: &[&str] = &["DEFAULT", "DYNAMIC", "COMPACT", "REDUNDANT", "COMPRESSED"];
/// Of compressed pages, in KiB.
const INNODB_BLOCKS: &[&[u8]] = &[b"1", b"2", b"4", b"8", b"16"];

/// Where an option's value stands, after an optional `=`.
fn value_of(table: &Rewriter, at: usize) -> usize {
    if table.create.tokens.get(at).is_some_and(|token| token.is_punct(b'=')) { at + 1 } else { at }
}

/// Takes an option with its value out, and the executable comment around it when nothing else is in there.
fn drop_option(table: &mut Rewriter, start: usize, words: usize, why: &str) -> usize {
    let end = value_of(table, start + words) + 1;
    let kind = |at: Option<usize>| at.and_then(|at| table.create.tokens.get(at)).map(|token| token.kind);
    let framed = kind(start.checked_sub(1)) == Some(TokenKind::ExecOpen) && kind(Some(end)) == Some(TokenKind::ExecClose);
    let whole: Range<usize> = if framed { start - 1..end + 1 } else { start..end };
    let range = table.create.bytes(&whole);
    let text = table.create.sql.get(table.create.bytes(&(start..end))).unwrap_or_default().to_owned();
    table.notes.push(format!("option {text} is left out: {why}"));
    table.edits.delete(range);
    whole.end
}

/// UNION=(`a`,`b`) of a MERGE table.
fn merge_tables(table: &mut Rewriter, start: usize) -> usize {
    let end = table.create.options.end;
    let Some(group) = table.create.group(start, end) else { return start + 1 };
    for name in split_list(&table.create.tokens, group.start, group.end - 1) {
        let old = table.table_name(name.start, name.end);
        if let Some(new) = old.and_then(|old: TableName| table.rules.names.table(&old)) {
            table.edits.replace(table.create.bytes(&name), quote_qualified(&new.database, &new.table));
        }
    }
    group.end
}

/// The expression or column list of PARTITION BY. MySQL prints the columns of a list without quotes, and 5.7
/// prints the expression as it was written.
fn partition_expression(table: &mut Rewriter, start: usize) -> Result<usize> {
    let end = table.create.options.end;
    let Some(group) = table.create.group(start, end) else { return Ok(start) };
    if table.create.any_word(start, &["SYSTEM_TIME"]) {
        return Ok(start);
    }
    for at in group.clone() {
        let Some(token) = table.create.tokens.get(at).copied() else { continue };
        let called = table.create.tokens.get(at + 1).is_some_and(|next| next.is_punct(b'('));
        if !matches!(token.kind, TokenKind::Word | TokenKind::Quoted) || (called && token.kind == TokenKind::Word) {
            continue;
        }
        let Some(name) = table.create.name_at(at).filter(|name| table.is_column(name)) else { continue };
        match table.column(&name) {
            Some(new_name) if new_name != name => table.edits.replace(token.span(), quote_identifier(&new_name)),
            Some(_) => {}
            None => {
                return Err(table
                    .error(&format!("column {} cannot be left out: the table is partitioned by it", quote_identifier(&name))));
            }
        }
    }
    Ok(group.end)
}

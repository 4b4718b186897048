//! Literals of MySQL's expressions in MariaDB's words.
//!
//! MySQL prints every literal with its character set. MariaDB 11.4 keeps the bytes of such a literal as `\xE9` in the
//! definition and reads that as `xE9` (measured): `_utf8mb4'é'` becomes another text. A literal without an introducer it
//! keeps; so it is said in UTF-8, in another character set by CONVERT, and bytes that are no text as `X'E9'`.

use super::Adapter;
use crate::schema::create::Item;
use crate::schema::edit::quote_string;
use crate::schema::exact::{decode, hex, introducer, is_utf8_name, literal_bytes};
use crate::sql::lexer::TokenKind;
use godwit_model::error::{Error, Result};

impl Adapter<'_> {
    /// Replaces literals with introducers in expressions; partition bounds MariaDB prints in the same way itself.
    pub(super) fn say_literals(&mut self) -> Result<()> {
        for item in self.create.items.clone() {
            for at in item.tokens.clone() {
                if let Some((literal, note)) = self.plain_literal(&item, at)? {
                    self.edits.replace(self.create.bytes(&(at - 1..at + 1)), literal);
                    self.notes.extend(note);
                }
            }
        }
        Ok(())
    }

    /// What stands for the literal at a token and its introducer, and what to say about it.
    fn plain_literal(&self, item: &Item, at: usize) -> Result<Option<(String, Option<String>)>> {
        let sql = self.create.sql.as_bytes();
        let Some(token) = self.create.tokens.get(at) else { return Ok(None) };
        if at == item.tokens.start || !matches!(token.kind, TokenKind::String | TokenKind::HexOrBit) {
            return Ok(None);
        }
        let (Some(character_set), Some(value)) = (introducer(sql, &self.create.tokens, at), literal_bytes(token, sql)) else {
            return Ok(None);
        };
        let harmless = value.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\'));
        if let Some(text) = decode(&value, &character_set).filter(|_| is_utf8_name(&character_set)) {
            return Ok(Some((quote_string(&text), None)));
        }
        if harmless && token.kind == TokenKind::String {
            return Ok(None);
        }
        if character_set == "binary" {
            return Ok(Some((format!("X'{}'", hex(&value)), None)));
        }
        if is_utf8_name(&character_set) {
            return Err(Error::definite(format!(
                "an expression holds the literal _{character_set} 0x{}, which is no UTF-8; change it at the source",
                hex(&value)
            )));
        }
        // Bytes are taken as they are; where the collations of both sides do not go together, MariaDB refuses the definition.
        let literal = format!("CONVERT(0x{} USING {character_set})", hex(&value));
        let note = format!("the literal _{character_set} 0x{0} of an expression becomes {literal}", hex(&value));
        Ok(Some((literal, Some(note))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::adapt_for;
    use godwit_model::server::ServerInfo;

    fn adapted(expression: &str) -> godwit_model::error::Result<String> {
        let create = format!(
            "CREATE TABLE `t` (\n  `s` varchar(9),\n  `g` varchar(9) GENERATED ALWAYS AS ({expression}) STORED\n) ENGINE=InnoDB"
        );
        let adapted = adapt_for(&create, &ServerInfo::parse("8.0.36"), &ServerInfo::parse("11.4.5-MariaDB"))?.create;
        let (_, rest) = adapted.split_once("ALWAYS AS (").unwrap();
        Ok(rest.split_once(") STORED").unwrap().0.to_owned())
    }

    #[test]
    fn literals_lose_their_introducers() {
        for (mysql, mariadb) in [
            ("concat(`s`,_utf8mb4'😀é')", "concat(`s`,'😀é')"),
            ("concat(`s`,_utf8mb4'it\\'s')", "concat(`s`,'it''s')"),
            ("(`s` = _latin1 0xE4)", "(`s` = CONVERT(0xE4 USING latin1))"),
            ("(`s` = _latin1'a')", "(`s` = _latin1'a')"),
            ("concat(`s`,_binary 0xE4FF)", "concat(`s`,X'E4FF')"),
            ("concat(`s`,0xe4ff)", "concat(`s`,0xe4ff)"),
        ] {
            assert_eq!(adapted(mysql).unwrap(), mariadb);
        }
        assert_eq!(adapted("(`s` = _gbk 0x8F5C)").unwrap(), "(`s` = CONVERT(0x8F5C USING gbk))");
        assert!(adapted("(`s` = _utf8mb4 0xFF)").unwrap_err().to_string().contains("0xFF"));
    }
}

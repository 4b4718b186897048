//! Collations that servers do not share.

use godwit_model::error::{Error, Result};
use godwit_model::server::{Flavor, ServerInfo};

/// The collation that a server means when a definition names only the character set. Servers print the
/// collation only when it is not this one (MySQL 8.0 always for utf8mb4), and the destination's default may be
/// another.
pub fn default_collation(character_set: &str, server: &ServerInfo) -> Option<String> {
    let character_set = character_set.to_ascii_lowercase();
    let suffix = match character_set.as_str() {
        "binary" => return Some("binary".into()),
        "utf8mb4" if server.is_mysql_since(8, 0, 1) => "0900_ai_ci",
        "big5" | "gb2312" | "gbk" | "gb18030" => "chinese_ci",
        "cp932" | "eucjpms" | "sjis" | "ujis" => "japanese_ci",
        "dec8" | "latin1" | "swe7" => "swedish_ci",
        "euckr" => "korean_ci",
        "hp8" => "english_ci",
        "latin5" => "turkish_ci",
        "tis620" => "thai_ci",
        "armscii8" | "ascii" | "cp1250" | "cp1251" | "cp1256" | "cp1257" | "cp850" | "cp852" | "cp866" | "geostd8" | "greek"
        | "hebrew" | "keybcs2" | "koi8r" | "koi8u" | "latin2" | "latin7" | "macce" | "macroman" | "ucs2" | "utf16"
        | "utf16le" | "utf32" | "utf8" | "utf8mb3" | "utf8mb4" => "general_ci",
        _ => return None,
    };
    Some(format!("{character_set}_{suffix}"))
}

/// What the destination calls a collation: MySQL's UCA 9.0.0 collations become MariaDB's UCA 14.0.0 ones, without
/// padding as theirs.
///
/// # Errors
/// Definite when the destination has nothing that orders and compares alike.
pub fn destination_collation(collation: &str, destination: &ServerInfo) -> Result<String> {
    let lower = collation.to_ascii_lowercase();
    let Some((prefix, sensitivity)) = lower.split_once("0900_").filter(|_| destination.flavor == Flavor::MariaDb) else {
        return Ok(collation.to_owned());
    };
    let language = prefix.strip_prefix("utf8mb4_").map(|rest| rest.trim_end_matches('_'));
    let none = || {
        Error::definite(format!(
            "collation {collation} has no counterpart in MariaDB {}; change the column's collation at the source",
            destination.version_text
        ))
    };
    let tailoring = match language {
        Some("") if sensitivity == "bin" => return Ok("utf8mb4_nopad_bin".into()),
        _ if destination.version < (10, 10, 1) || !matches!(sensitivity, "ai_ci" | "as_ci" | "as_cs") => return Err(none()),
        Some("") => "",
        Some("de_pb") => "german2_",
        Some("is") => "icelandic_",
        Some("lv") => "latvian_",
        Some("ro") => "romanian_",
        Some("sl") => "slovenian_",
        Some("pl") => "polish_",
        Some("et") => "estonian_",
        Some("es") => "spanish_",
        Some("sv") => "swedish_",
        Some("tr") => "turkish_",
        Some("cs") => "czech_",
        Some("da") => "danish_",
        Some("lt") => "lithuanian_",
        Some("sk") => "slovak_",
        Some("es_trad") => "spanish2_",
        Some("la") => "roman_",
        Some("eo") => "esperanto_",
        Some("hu") => "hungarian_",
        Some("hr") => "croatian_",
        Some("vi") => "vietnamese_",
        _ => return Err(none()),
    };
    Ok(format!("utf8mb4_uca1400_{tailoring}nopad_{sensitivity}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counterparts() {
        let mariadb = ServerInfo::parse("11.4.5-MariaDB");
        for (mysql, expected) in [
            ("utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"),
            ("utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
            ("utf8mb4_0900_bin", "utf8mb4_nopad_bin"),
            ("utf8mb4_de_pb_0900_as_cs", "utf8mb4_uca1400_german2_nopad_as_cs"),
            ("utf8mb4_unicode_ci", "utf8mb4_unicode_ci"),
        ] {
            assert_eq!(destination_collation(mysql, &mariadb).unwrap(), expected);
        }
        assert!(destination_collation("utf8mb4_ja_0900_as_cs_ks", &mariadb).is_err());
        assert!(destination_collation("utf8mb4_0900_ai_ci", &ServerInfo::parse("10.6.5-MariaDB")).is_err());
        assert_eq!(destination_collation("utf8mb4_0900_ai_ci", &ServerInfo::parse("9.7.4")).unwrap(), "utf8mb4_0900_ai_ci");
    }

    #[test]
    fn defaults() {
        let of = |set: &str, version: &str| default_collation(set, &ServerInfo::parse(version));
        assert_eq!(of("utf8mb4", "5.7.22").as_deref(), Some("utf8mb4_general_ci"));
        assert_eq!(of("utf8mb4", "8.0.36").as_deref(), Some("utf8mb4_0900_ai_ci"));
        assert_eq!(of("latin1", "5.7.22").as_deref(), Some("latin1_swedish_ci"));
        assert_eq!(of("klingon", "5.7.22"), None);
    }
}

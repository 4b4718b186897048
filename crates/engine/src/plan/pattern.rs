//! Names with `*` (any characters) and `?` (one character), and templates that use what they stood for.

/// A name, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Many,
}

impl Pattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        let token = |c| match c {
            '*' => Token::Many,
            '?' => Token::One,
            other => Token::Literal(other),
        };
        Self { text: text.to_owned(), tokens: text.chars().map(token).collect() }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A plain name.
    pub fn is_exact(&self) -> bool {
        self.groups() == 0
    }

    /// How many `*` and `?` it has.
    pub fn groups(&self) -> usize {
        self.tokens.iter().filter(|token| !matches!(token, Token::Literal(_))).count()
    }

    /// Whether the pattern stands for the name. `fold`: upper and lower case are the same.
    pub fn matches(&self, name: &str, fold: bool) -> bool {
        self.captures(name, fold).is_some()
    }

    /// What each `*` and `?` stood for, in order; a `*` takes as little as it can. None: no match.
    pub fn captures(&self, name: &str, fold: bool) -> Option<Vec<String>> {
        let name: Vec<char> = name.chars().collect();
        let fits = self.suffix_table(&name, fold);
        if !fits[0][0] {
            return None;
        }
        let mut captures = Vec::new();
        let mut at = 0;
        for (index, token) in self.tokens.iter().enumerate() {
            let taken = match token {
                Token::Literal(_) | Token::One => 1,
                // The table says that some length fits.
                Token::Many => (0..=name.len() - at).find(|length| fits[index + 1][at + length]).unwrap_or(0),
            };
            if !matches!(token, Token::Literal(_)) {
                captures.push(name[at..at + taken].iter().collect());
            }
            at += taken;
        }
        Some(captures)
    }

    /// `[i][j]`: tokens from `i` on stand for exactly the characters from `j` on. No backtracking, whatever the pattern.
    fn suffix_table(&self, name: &[char], fold: bool) -> Vec<Vec<bool>> {
        let mut fits = vec![vec![false; name.len() + 1]; self.tokens.len() + 1];
        fits[self.tokens.len()][name.len()] = true;
        for (i, token) in self.tokens.iter().enumerate().rev() {
            for j in (0..=name.len()).rev() {
                let has_character = j < name.len();
                fits[i][j] = match token {
                    Token::Literal(c) => has_character && same(*c, name[j], fold) && fits[i + 1][j + 1],
                    Token::One => has_character && fits[i + 1][j + 1],
                    Token::Many => fits[i + 1][j] || (has_character && fits[i][j + 1]),
                };
            }
        }
        fits
    }
}

fn same(a: char, b: char, fold: bool) -> bool {
    a == b || (fold && a.to_lowercase().eq(b.to_lowercase()))
}

/// Puts captures for `$1`, `$2` … and `${1}`; a `$` before anything else is itself.
///
/// # Errors
/// The number that has no capture.
pub fn expand(template: &str, captures: &[String]) -> Result<String, usize> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let (number, length) = match reference(after, captures.len()) {
            Some(found) => found,
            None => {
                out.push('$');
                rest = after;
                continue;
            }
        };
        out.push_str(number.checked_sub(1).and_then(|index| captures.get(index)).ok_or(number)?);
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The number after a `$` and how many bytes it takes. Of many digits as many as make a number that exists: `$10` with one
/// capture is `$1` and a zero.
fn reference(after: &str, available: usize) -> Option<(usize, usize)> {
    if let Some(braced) = after.strip_prefix('{') {
        let end = braced.find('}')?;
        return braced[..end].parse().ok().map(|number| (number, end + 2));
    }
    let digits = after.bytes().take_while(u8::is_ascii_digit).count().min(4);
    let numbers = (1..=digits).rev().filter_map(|length| after[..length].parse::<usize>().ok().map(|number| (number, length)));
    let known = numbers.clone().find(|(number, _)| (1..=available).contains(number));
    known.or_else(|| numbers.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, name: &str) -> Option<Vec<String>> {
        Pattern::new(pattern).captures(name, false)
    }

    #[test]
    fn stars_and_question_marks_are_captured() {
        assert_eq!(captures("shop", "shop"), Some(vec![]));
        assert_eq!(captures("shop", "shops"), None);
        assert_eq!(captures("shop_*", "shop_eu"), Some(vec!["eu".into()]));
        assert_eq!(captures("shop_*", "shop_"), Some(vec![String::new()]));
        assert_eq!(captures("*_*", "a_b_c"), Some(vec!["a".into(), "b_c".into()]));
        assert_eq!(captures("t?_*x", "t1_axbx"), Some(vec!["1".into(), "axb".into()]));
        assert_eq!(captures("?", ""), None);
        assert_eq!(captures("?", "é"), Some(vec!["é".into()]));
        assert_eq!(captures("*", ""), Some(vec![String::new()]));
        assert_eq!(captures("a.c", "abc"), None);
    }

    #[test]
    fn case_is_folded_on_request_only() {
        assert!(Pattern::new("Shop_*").matches("shop_EU", true));
        assert!(!Pattern::new("Shop_*").matches("shop_EU", false));
        assert_eq!(Pattern::new("Shop_*").captures("SHOP_Eu", true), Some(vec!["Eu".into()]));
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let pattern = "*a".repeat(60);
        assert_eq!(captures(&pattern, &"b".repeat(200)), None);
    }

    #[test]
    fn templates_are_filled() {
        let two = ["a".to_owned(), "b".to_owned()];
        assert_eq!(expand("x_$2_$1", &two), Ok("x_b_a".into()));
        assert_eq!(expand("$10", &two), Ok("a0".into()));
        assert_eq!(expand("${1}0", &two), Ok("a0".into()));
        assert_eq!(expand("cost$", &two), Ok("cost$".into()));
        assert_eq!(expand("$x$1", &two), Ok("$xa".into()));
        assert_eq!(expand("$3", &two), Err(3));
        assert_eq!(expand("$0", &two), Err(0));
        assert_eq!(expand("${9}", &two), Err(9));
    }
}

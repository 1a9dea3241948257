//! What commands read from standard input: secrets, which never stand among the arguments, and texts of some lines.

use std::io::{IsTerminal, Read};

use zeroize::Zeroizing;

use super::CommandError;

/// More bytes than any secret or text has that is taken.
const ENOUGH: u64 = 64 * 1_024;

/// A secret: typed unseen at a terminal, else standard input without the line break at its end.
pub(super) fn secret(what: &str, prompt: &str) -> Result<Zeroizing<String>, CommandError> {
    if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password(format!("{prompt} (it does not show): "));
        return Ok(Zeroizing::new(typed?));
    }
    let text = text(what)?;
    let line = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(CommandError::Usage(format!(
            "{what} is read from standard input, and nothing came; pipe it in"
        )));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// All of standard input.
pub(super) fn text(what: &str) -> Result<Zeroizing<String>, CommandError> {
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    let read = std::io::stdin().lock().take(ENOUGH).read_to_string(&mut text);
    read.map_err(|error| {
        CommandError::refused(format_args!("{what} cannot be read from standard input: {error}"))
    })?;
    Ok(text)
}

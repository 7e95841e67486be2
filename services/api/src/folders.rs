//! Keeps the folders of this machine out of what clients are told.

use std::path::Path;

/// Characters that end a path in a sentence.
const AFTER_PATH: [char; 10] = [' ', '\n', '\t', '"', '\'', '`', ')', ',', ';', ':'];

/// A text without the folders of this machine: of a path its last name is left. `known` ones are recognised also
/// where their names hold spaces.
pub(crate) fn without_folders(text: &str, known: &[&Path]) -> String {
    let mut text = text.to_owned();
    for path in known.iter().filter(|path| path.is_absolute()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        text = text.replace(&*path.to_string_lossy(), &name);
    }
    let mut struck = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(slash) = rest.find('/') {
        let (before, path) = rest.split_at(slash);
        struck.push_str(before);
        let (path, after) = path.split_at(path.find(AFTER_PATH).unwrap_or(path.len()));
        // The slash of an address or of a relative path follows something.
        let begins = before.is_empty() || before.ends_with([' ', '\n', '"', '\'', '`', '(', '=']);
        let is_deep = path.trim_end_matches('/').matches('/').count() > 1;
        let name = path.trim_end_matches('/').rsplit('/').next();
        struck.push_str(match name {
            Some(name) if begins && is_deep => name,
            _ => path,
        });
        rest = after;
    }
    struck.push_str(rest);
    struck
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_its_last_name_is_left() {
        let folder = Path::new("/home/a person/.local/demo_1/models");
        for (text, told) in [
            (
                "cannot read /home/me/.local/live/models/lstm/lstm-1/model.json: gone",
                "cannot read model.json: gone",
            ),
            (
                "cannot read /home/a person/.local/demo_1/models/lstm/lstm-1/model.tflite",
                "cannot read models/lstm/lstm-1/model.tflite",
            ),
            ("see \"/var/log/x.log\", (/a/b)", "see \"x.log\", (b)"),
            ("/srv/tandem/", "tandem"),
            // What is no path of this machine.
            (
                "https://example.com/a/b is 3/4 of a/b/c",
                "https://example.com/a/b is 3/4 of a/b/c",
            ),
            ("GET /models lists them", "GET /models lists them"),
            ("nothing at all", "nothing at all"),
        ] {
            assert_eq!(without_folders(text, &[folder]), told);
        }
    }
}

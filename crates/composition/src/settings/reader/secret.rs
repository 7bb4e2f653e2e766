//! Values that are shown to nobody.

use std::fs;

use secrecy::SecretString;

use super::{Code, Problem, Reader, value::scalar};

impl Reader<'_> {
    /// A secret, given as `key` or as the content of the file `key_file`. One final line end is cut.
    pub(in crate::settings) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        let text = self.take(key).and_then(|value| {
            let text = scalar(&value).filter(|text| !text.is_empty());
            if text.is_some() {
                self.show(key, "***", &value);
            }
            text
        });
        let Some(file) = self.take(&file_key) else {
            return text.map(SecretString::from);
        };
        let place = file.origin().unwrap_or_default().to_owned();
        if text.is_some() {
            let message = format!(
                "`{}` and `{}` are both given",
                self.name(key),
                self.name(&file_key)
            );
            self.notes.flaw(
                self.name(key),
                Problem::new(Code::Conflict, &place, message),
            );
            return None;
        }
        let path = scalar(&file).unwrap_or_default();
        self.show(&file_key, &path, &file);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let cut = text.strip_suffix('\n').map_or(text.as_str(), |text| {
                    text.strip_suffix('\r').unwrap_or(text)
                });
                Some(SecretString::from(cut.to_owned()))
            }
            Err(error) => {
                let message = format!("{path} cannot be read: {error}");
                let problem = Problem::new(Code::Unreadable, &place, message);
                self.notes.flaw(self.name(key), problem);
                None
            }
        }
    }

    /// A secret that must be there.
    pub(in crate::settings) fn needed_secret(&mut self, key: &str) -> Option<SecretString> {
        let before = self.notes.problems.borrow().len();
        let secret = self.secret(key);
        if secret.is_none() && self.notes.problems.borrow().len() == before {
            self.missing(&format!("{key}` or `{key}_file"));
        }
        secret
    }
}

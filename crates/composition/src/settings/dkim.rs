//! `[dkim.NAME]`: the keys that sign mail.

use posthaste_mail::{DkimKey, Signer, dkim::InvalidDkimKey};
use secrecy::ExposeSecret;

use super::reader::Reader;

/// Every key, each looked at now: one that cannot sign is a fault of the settings, and none of a mail.
pub(super) fn read(keys: Reader<'_>) -> Signer {
    let mut signer = Signer::default();
    for (_, table) in keys.tables() {
        add(&mut signer, table);
    }
    signer
}

fn add(signer: &mut Signer, mut table: Reader<'_>) {
    let file = table.raw().remove("key_file");
    let file = file.and_then(|file| file.into_string().ok());
    let domain = table.text("domain");
    let selector = table.text("selector");
    let pem = table.needed_secret("key");
    let sound = table.sound("domain") && table.sound("selector");
    if let (true, Some(pem)) = (sound, pem) {
        let added = DkimKey::from_pem(&domain, &selector, pem.expose_secret());
        let refused = match added.map(|key| signer.add(key)) {
            Ok(Ok(())) => None,
            Ok(Err(taken)) => Some(("selector", taken.to_string())),
            Err(error @ InvalidDkimKey::Domain(_)) => Some(("domain", error.to_string())),
            Err(error @ InvalidDkimKey::Selector(_)) => Some(("selector", error.to_string())),
            Err(error) => Some(match &file {
                Some(file) => ("key_file", format!("{file}: {error}")),
                None => ("key", error.to_string()),
            }),
        };
        if let Some((key, why)) = refused {
            let place = table.place(key);
            table.conflict(&place, key, &why);
        }
    }
    table.finish();
}

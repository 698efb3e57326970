//! Settings for a mail client, ready to paste.

use super::provider::DemoProvider;
use std::path::Path;

pub(super) fn print(providers: &[&DemoProvider], data: &Path) {
    println!("\nThe providers stay up until Ctrl-C. Settings for a mail client:");
    for provider in providers {
        let ports = provider.ports();
        println!("\n{}  (data: {})", provider.domain, provider.dir.display());
        println!(
            "  IMAP        localhost port {} SSL/TLS    (or {} STARTTLS)",
            ports.imap_tls, ports.imap
        );
        println!(
            "  SMTP        localhost port {} SSL/TLS    (or {} STARTTLS)",
            ports.submission_tls, ports.submission
        );
        println!(
            "  password    normal password; certificate authority to trust: {}",
            provider.dir.join("ca.pem").display()
        );
        if let Some(port) = ports.autoconfig {
            println!("  settings    http://localhost:{port}/.well-known/autoconfig/mail/config-v1.1.xml");
        }
        println!("  administer  kepctl --socket {} tenant list", ports.control);
        for credential in provider.credentials().iter().take(8) {
            println!(
                "  login       {:<16} password {:<42} {} ({})",
                credential.login, credential.password, credential.address, credential.role
            );
        }
    }
    println!(
        "\nAll logins: credentials.json in each provider's folder under {}",
        data.display()
    );
}

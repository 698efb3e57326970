//! The words beside a bundle for whoever has no tool of ours: how to check it with sh, openssl and xmlsec1. The lines are run
//! by a test as they stand there.

/// Name of the file in a bundle ("read me").
pub(super) const NAME: &str = "OKU.txt";
pub(super) const TEXT: &str = include_str!("guide.txt");

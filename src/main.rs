//! kubekeel
fn main() {}

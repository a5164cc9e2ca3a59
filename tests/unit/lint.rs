//! `kubekeel lint`: verdicts, reasons and lines; no input is a panic.

/** What a template does wrong by Python's rules: bad syntax, an undefined value's attribute, `raise_exception`. */
export class TemplateError extends Error {
  override readonly name: string = "TemplateError";
}

/** A construct that Python's Jinja knows and this implementation doesn't compute; the message names it. */
export class UnsupportedConstruct extends TemplateError {
  override readonly name = "UnsupportedConstruct";
}

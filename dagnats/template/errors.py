"""What goes wrong in a template, as people are told it."""


class TemplateError(Exception):
    """A template that can not be used or evaluated. `line` counts from 1 inside the template's own text."""

    def __init__(self, message: str, line: int = 1, column: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint


class RefusedError(Exception):
    """An operation that is not allowed; whoever knows the line makes a `TemplateError` of it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

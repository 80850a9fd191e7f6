"""What is sent to an instance: `ssmssh.bundle.splitting` and `ssmssh.bundle.relay` as one program, in one line.

They are sent as they stand, without what only a reader needs: documentation, comments, the types of arguments.
"""

import ast
import base64
import inspect
import zlib

from ssmssh.bundle import relay, splitting

MAX_BYTES = 8 * 1024
"""Of the packed program: it goes through a session to a standard input."""


def pack(port: int) -> str:
    """The program of a relay for `port`, for the standard input of Python 3.6 or later; ASCII."""
    packed = base64.b85encode(zlib.compress(program(port).encode(), 9)).decode()
    return f"import base64,zlib\nexec(zlib.decompress(base64.b85decode('{packed}')))\n"


def program(port: int) -> str:
    """The same before it is packed."""
    imports: list[str] = []
    body: list[str] = []
    for module in (splitting, relay):
        tree = _Bare().visit(ast.parse(inspect.getsource(module)))
        for statement in tree.body:
            is_import = isinstance(statement, ast.Import | ast.ImportFrom)
            (imports if is_import else body).append(ast.unparse(statement))
    return "\n".join([*imports, *body, f"serve({port:d})"])


class _Bare(ast.NodeTransformer):
    """Without what only a reader needs, and without the imports of ours."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        node.body = node.body or [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        return None if node.module in ("typing", splitting.__name__) else node

"""A trie as nested dictionaries."""


def build(codes: list[tuple[int, ...]]) -> dict:
    """{code: {code: ... {code: item}}}."""
    root: dict = {}
    for item, semantic_id in enumerate(codes):
        node = root
        for code in semantic_id[:-1]:
            node = node.setdefault(code, {})
        node[semantic_id[-1]] = item
    return root


def allowed(root: dict, prefix: tuple[int, ...]) -> list[int]:
    """The codes that may follow a prefix, ascending."""
    node = root
    for code in prefix:
        node = node[code]
    return sorted(node)

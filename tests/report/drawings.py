"""What a drawing holds, read from its specification."""


def panels(drawing):
    """Its panels, with their data in place."""
    whole = drawing.to_dict(validate=False)
    return [each | {"datasets": whole.get("datasets", {})} for each in whole["concat"]]


def marks(panel):
    """(kind of mark, rows, encoding) of every layer."""
    found = []
    for layer in panel["layer"]:
        data = layer.get("data") or panel["data"]
        rows = data["values"] if "values" in data else panel["datasets"][data["name"]]
        kind = layer["mark"]["type"] if isinstance(layer["mark"], dict) else layer["mark"]
        found.append((kind, rows, layer["encoding"]))
    return found

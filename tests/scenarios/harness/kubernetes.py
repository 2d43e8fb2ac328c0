"""What Kubernetes knows of an object: its fields and their types, read from the models in Debian's python3-kubernetes."""

import ast
import functools
import glob
import os
import re

# What came after Kubernetes 1.22, whose models Debian 12 has.
_NEWER = {"V1Container": {"restartPolicy": "str"}}


class Schema:
    def __init__(self, unpacked):
        self._models = {}
        for path in glob.glob(unpacked.path("usr/lib/python3/dist-packages/kubernetes/client/models/v1_*.py")):
            self._models[os.path.basename(path).removesuffix(".py").replace("_", "")] = path

    def mistakes(self, document):
        """Of an object as it stands in a manifest: one sentence each."""
        version, kind = document.get("apiVersion", ""), document.get("kind", "")
        return list(self._mistakes(document, version.rpartition("/")[2].capitalize() + kind, kind))

    @functools.cache
    def _model(self, name):
        """The fields of a class with their types, those that must be there, and the values that others may have."""
        with open(self._models[name.lower()], encoding="utf-8") as file:
            text = file.read()
        types, names = (
            ast.literal_eval(re.search(rf"{table} = (\{{.*?\}})", text, re.S)[1])
            for table in ("openapi_types", "attribute_map")
        )
        needed = re.findall(r"client_side_validation and (\w+) is None", text)
        return {names[each]: types[each] for each in types} | _NEWER.get(name, {}), {names[each] for each in needed}

    def _mistakes(self, value, kind, path):
        parts = re.fullmatch(r"(list\[|dict\(str, )(.*)[\])]", kind)
        if kind == "object":
            return
        if kind in ("str", "int", "bool", "float"):
            if type(value).__name__ != kind:
                yield f"{path}: {value!r} is no {kind}"
        elif parts:
            wanted = list if parts[1] == "list[" else dict
            if not isinstance(value, wanted):
                yield f"{path}: {value!r} is no {wanted.__name__}"
                return
            for name, each in enumerate(value) if wanted is list else value.items():
                yield from self._mistakes(each, parts[2], f"{path}[{name}]")
        elif kind.lower() not in self._models:
            yield f"{path}: nobody knows {kind}"
        elif not isinstance(value, dict):
            yield f"{path}: {value!r} is no {kind}"
        else:
            fields, needed = self._model(kind)
            yield from (f"{path} lacks {name}" for name in needed - set(value))
            for name, each in value.items():
                if name in fields:
                    yield from self._mistakes(each, fields[name], f"{path}.{name}")
                else:
                    yield f"{path}: {kind} has no {name}"

"""What `import unisid` offers: the names of `unisid/__init__.pyi`, each loaded when it is first used."""

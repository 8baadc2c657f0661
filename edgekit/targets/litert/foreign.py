"""placeholder"""
def call(t, node, kept):
    raise NotImplementedError(str(node.target), node.args)

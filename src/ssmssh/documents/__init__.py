"""Session documents: what may stand in one, what one is good for, how one is made, what the account's says. Pure.

`schema` checks a document's content, field by field; `making` makes the content of a document for one purpose; `uses`
says what our programs can do with one; `preferences` explains those of the account, which are such a document, too.
"""

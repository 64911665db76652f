(ns poz.redefined
  "Another function in place of a var's, for one thread: namespaces of tests run side by side, and what the
  others call is to stay as it is.")

(set! *warn-on-reflection* true)

(defn call-with
  "The result of `(body)`, while `v`, a var, has the function `f` on this thread. One test at a time may do so
  with a var."
  [v f body]
  (let [me (Thread/currentThread) real @v]
    (with-redefs-fn {v (fn [& args] (apply (if (identical? me (Thread/currentThread)) f real) args))}
      body)))
